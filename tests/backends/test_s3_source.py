"""``S3Source``: its documented spellings, the names of objects, and datasets of ``s3:`` URLs."""

from __future__ import annotations

import pickle
import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_types import Item, items
from tests.services.s3_server import S3Server
from tests.shard_files import shard_bytes

import atdata
from atdata import Dataset, S3Source, URLSource, load_dataset
from atdata.errors import (
    DataFilesError,
    InvalidNameError,
    LimitExceededError,
    NoDataFilesError,
    ShardNotFoundError,
)
from atdata_s3.names import S3Object

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    name: str = s3_server.fresh_bucket()["bucket"]
    return name


@pytest.fixture
def found_keys(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK find its keys in the environment."""
    for name, value in s3_server.credentials.items():
        monkeypatch.setenv(name.replace("ENDPOINT", "ENDPOINT_URL"), value)


def upload(server: S3Server, bucket: str, *keys: str) -> None:
    """Put shards of three samples each."""
    for number, key in enumerate(keys):
        body = shard_bytes(items(3, 3 * number))
        server.client.put_object(Bucket=bucket, Key=key, Body=body)


def test_it_is_made_in_every_documented_spelling(s3_server: S3Server, bucket: str) -> None:
    upload(s3_server, bucket, "a.tar", "b.tar")
    creds, keys = s3_server.credentials, ["a.tar", "b.tar"]
    urls = [f"s3://{bucket}/{key}" for key in keys]
    options = {
        "endpoint": s3_server.endpoint,
        "access_key": s3_server.access_key,
        "secret_key": s3_server.secret_key,
    }
    sources = [
        S3Source(bucket=bucket, keys=keys, **options),
        S3Source(bucket, keys, *options.values(), None),
        S3Source(bucket, keys, credentials=creds),
        S3Source.from_credentials(creds, bucket, keys),
        S3Source.from_urls(urls, **options),
        S3Source.from_urls(urls, credentials=creds, endpoint_url=s3_server.endpoint),
    ]
    for source in sources:
        assert source == sources[0]
        assert hash(source) == hash(sources[0])
        assert source.list_shards() == source.shard_list == urls
        assert (source.bucket, source.keys) == (bucket, keys)
        assert list(Dataset[Item](source)) == items(6)


def test_one_key_or_url_needs_no_list() -> None:
    for source in (S3Source("bucket", "a.tar"), S3Source.from_urls("s3://bucket/a.tar")):
        assert source.list_shards() == ["s3://bucket/a.tar"]


def test_a_source_connects_to_nothing_when_it_is_made() -> None:
    source = S3Source("bucket", ["a.tar"], "http://127.0.0.1:1", region="eu-west-1")
    assert source.endpoint == "http://127.0.0.1:1"
    assert source.region == "eu-west-1"
    assert source.is_remote


def test_half_a_pair_of_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="the secret key is missing"):
        S3Source("bucket", [], access_key="AKID")
    with pytest.raises(ValueError, match="the access key is missing"):
        S3Source("bucket", [], secret_key="s3cr3t")
    with pytest.raises(TypeError, match="not both"):
        S3Source("bucket", [], access_key="a", secret_key="b", credentials=KEYS)
    with pytest.raises(TypeError, match="anonymous"):
        S3Source("bucket", [], credentials=KEYS, anonymous=True)


@pytest.mark.parametrize(
    "urls",
    [
        ["a.tar"],
        ["https://host/a.tar"],
        ["s3://bucket"],
        ["s3://bucket/"],
        ["s3:///a.tar"],
        ["s3://one/a.tar", "s3://two/a.tar"],
        ["s3://bucket/a/../b.tar"],
        ["s3://bucket/../other/b.tar"],
        ["s3://bucket/./b.tar"],
        ["s3://bucket/a\n.tar"],
        ["s3://user@bucket/a.tar"],
    ],
)
def test_urls_of_no_one_bucket_are_refused(urls: list[str]) -> None:
    with pytest.raises(ValueError, match=r"s3://|bucket|key") as caught:
        S3Source.from_urls(urls)
    assert isinstance(caught.value, InvalidNameError)


@pytest.mark.parametrize(
    "url", ["s3://AKID:canary@bucket/a.tar", "s3://AKID:can/canary@b/a.tar", "s3://AKID:canary@b"]
)
def test_c2_keys_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidNameError, match=r"bucket") as caught:
        S3Source.from_urls([url])
    assert "can" not in f"{caught.value!r} {vars(caught.value)}"


def test_a_source_of_nothing_is_refused() -> None:
    with pytest.raises(NoDataFilesError):
        S3Source.from_urls([])


def test_n6_a_pattern_of_too_many_shards_is_refused() -> None:
    with pytest.raises(LimitExceededError):
        S3Source.from_urls(["s3://bucket/{0..1000000000}.tar"])


@given(st.text(min_size=1, max_size=60))
def test_a_key_comes_back_from_its_url_exactly_or_is_refused(key: str) -> None:
    try:
        target = S3Object("bucket", key)
    except InvalidNameError:
        return
    assert S3Object.from_url(target.url) == target
    assert target.web_url("http://host").isascii()


def test_odd_keys_are_read_exactly(s3_server: S3Server, bucket: str) -> None:
    rng = random.Random(4)
    letters = string.ascii_letters + string.punctuation + " äß\u20ac\U0001f986"
    keys = ["a//b.tar", "/a.tar", "a/", "%2e%2e/x.tar", "{0..3}.tar", "?a=b#c.tar", "~.tar", "..."]
    keys += ["".join(rng.choices(letters, k=12)) for _ in range(20)]
    for key in keys:
        s3_server.client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    source = S3Source(bucket, keys, credentials=s3_server.credentials)
    for key, (shard, stream) in zip(keys, source.shards, strict=True):
        assert shard == f"s3://{bucket}/{key}"
        assert stream.read() == key.encode()


def test_its_repr_shows_no_secret_and_its_pickle_only_what_was_given(
    s3_server: S3Server, found_keys: None
) -> None:
    plain = S3Source("bucket", ["a.tar", "b.tar"])
    with pytest.raises((ShardNotFoundError, OSError)):
        plain.open_shard("s3://bucket/a.tar")
    assert s3_server.secret_key.encode() not in pickle.dumps(plain)
    assert repr(plain) == "S3Source('s3://bucket/a.tar and 1 more')"
    given = S3Source("bucket", ["a.tar"], "http://host", "AKID", "s3cr3t", "eu-west-1")
    assert pickle.loads(pickle.dumps(given)) == given
    assert repr(given) == (
        "S3Source('s3://bucket/a.tar', endpoint='http://host', region='eu-west-1', credentials=***)"
    )


def test_a_dataset_is_made_of_a_pattern(s3_server: S3Server, bucket: str, found_keys: None) -> None:
    upload(s3_server, bucket, *(f"train-{n:03d}.tar" for n in range(12)))
    ds = Dataset[Item](f"s3://{bucket}/train-{{000..011}}.tar")
    assert isinstance(ds.source, S3Source)
    assert list(ds) == items(36)
    assert len(ds.list_shards()) == 12
    assert list(pickle.loads(pickle.dumps(ds))) == items(36)
    assert list(Dataset[Item](f"S3://{bucket}/train-000.tar")) == items(3)


def test_a_url_source_opens_s3_urls_too(s3_server: S3Server, bucket: str, found_keys: None) -> None:
    upload(s3_server, bucket, "a-0.tar", "a-1.tar")
    source = URLSource(f"s3://{bucket}/a-{{0,1}}.tar")
    assert list(Dataset[Item](source)) == items(6)
    with pytest.raises(ShardNotFoundError, match=r"no shard at s3://.*/none\.tar"):
        list(Dataset[Item](URLSource(f"s3://{bucket}/none.tar")))


def test_datasets_are_loaded_from_patterns_split_by_split(
    s3_server: S3Server, bucket: str, found_keys: None
) -> None:
    upload(s3_server, bucket, "d/train-0.tar", "d/train-1.tar", "d/test-0.tar", "d/deep/x.tar")
    by_glob = load_dataset(f"s3://{bucket}/d/*-?.tar", Item)
    by_braces = load_dataset(f"s3://{bucket}/d/{{train-{{0..1}},test-0}}.tar", Item)
    for splits in (by_glob, by_braces):
        assert list(splits["train"]) == items(6)
        assert list(splits["test"]) == items(3, 6)
    files = {"train": ["train-*.tar"], "other": "**/x.tar"}
    listed = load_dataset(f"s3://{bucket}/d", Item, data_files=files)
    assert list(listed["train"]) == items(6)
    assert list(listed["other"]) == items(3, 9)
    with pytest.raises(NoDataFilesError, match="none"):
        load_dataset(f"s3://{bucket}/d/none-*.tar", Item)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_is_loaded_like_a_local_one(
    s3_server: S3Server, bucket: str, found_keys: None, end: str
) -> None:
    upload(s3_server, bucket, "test/set/a.tar", "test/set/val/b.tar", "test/set/.spool/c.tar")
    for key in ("test/set/", "test/set/val/", "test/set/notes.txt", "test/set-2.tar"):
        s3_server.client.put_object(Bucket=bucket, Key=key, Body=b"")
    found = load_dataset(f"s3://{bucket}/test/set{end}", Item)
    assert {split: ds.list_shards() for split, ds in found.items()} == {
        "train": [f"s3://{bucket}/test/set/a.tar"],
        "validation": [f"s3://{bucket}/test/set/val/b.tar"],
    }
    assert list(found["train"]) == items(3)


def test_a_whole_bucket_is_loaded(s3_server: S3Server, bucket: str, found_keys: None) -> None:
    upload(s3_server, bucket, "a.tar", "deep/er/b.tar.gz")
    for url in (f"s3://{bucket}", f"s3://{bucket}/"):
        assert load_dataset(url, Item).num_shards == {"train": 2}


def test_a_folder_of_many_pages_is_loaded_whole(
    s3_server: S3Server, bucket: str, found_keys: None
) -> None:
    """A listing has pages of a thousand keys."""
    for number in range(1003):
        key = f"many/{number:04d}.tar"
        s3_server.client.put_object(Bucket=bucket, Key=key, Body=b"")
    assert load_dataset(f"s3://{bucket}/many", Item).num_shards == {"train": 1003}


def test_what_is_left_out_of_a_folder_is_named(
    s3_server: S3Server, bucket: str, found_keys: None
) -> None:
    upload(s3_server, bucket, "d/a.tar", "d/b.tar.zst")
    with pytest.raises(DataFilesError, match=r"d/b\.tar\.zst.*unzstd"):
        load_dataset(f"s3://{bucket}/d", Item)


def test_an_object_without_ending_is_a_shard_and_nothing_is_an_error(
    s3_server: S3Server, bucket: str, found_keys: None
) -> None:
    upload(s3_server, bucket, "d/test")
    assert list(load_dataset(f"s3://{bucket}/d/test", Item, split="train")) == items(3)
    with pytest.raises(NoDataFilesError, match="none/"):
        load_dataset(f"s3://{bucket}/none/", Item)
    with pytest.raises(ShardNotFoundError, match="none"):
        list(load_dataset(f"s3://{bucket}/none", Item, split="train"))


def test_one_key_named_twice_is_refused(bucket: str) -> None:
    with pytest.raises(DataFilesError, match=r"a\.tar twice"):
        list(Dataset[Item](S3Source(bucket, ["a.tar", "a.tar"])))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.tar", ["a.tar", "b.tar"]),
        ("**", ["a.tar", "b.tar", "d/a.tar", "d/e/a1.tar", "d/e/a2.tar"]),
        ("**/a*.tar", ["a.tar", "d/a.tar", "d/e/a1.tar", "d/e/a2.tar"]),
        ("d/*/a?.tar", ["d/e/a1.tar", "d/e/a2.tar"]),
        ("d/e/a[2-9].tar", ["d/e/a2.tar"]),
        ("d/e/a[!2].tar", ["d/e/a1.tar"]),
        ("[z-a].tar", []),
        ("[[].tar", []),
        ("**/e/**", ["d/e/a1.tar", "d/e/a2.tar"]),
        ("[ab].tar", ["a.tar", "b.tar"]),
        ("d*", []),
    ],
)
def test_wildcards_mean_what_they_mean_in_a_shell(
    s3_server: S3Server, found_keys: None, bucket: str, pattern: str, found: list[str]
) -> None:
    upload(s3_server, bucket, "a.tar", "b.tar", "d/a.tar", "d/e/a1.tar", "d/e/a2.tar")
    urls: Any = S3Source.find_urls(f"s3://{bucket}/{pattern}")
    assert urls == [f"s3://{bucket}/{key}" for key in found]


def test_it_has_its_documented_place() -> None:
    from atdata_s3 import source

    assert atdata.S3Source is source.S3Source
