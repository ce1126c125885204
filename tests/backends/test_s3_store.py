"""``S3DataStore``: its credentials in every spelling, its URLs, and what it never overwrites."""

from __future__ import annotations

import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import HTTPError

import pytest
from tests.sample_types import Item, items
from tests.services.s3_server import S3Server

import atdata
from atdata import Dataset, Index, URLSource, load_dataset
from atdata.errors import (
    ConflictError,
    EmptyDatasetError,
    InvalidNameError,
    ShardNotFoundError,
    StorageError,
)
from atdata.local import Repo
from atdata.stores import S3DataStore, shard_name
from atdata.testing.spooled import put
from atdata_s3.uploads import PART

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t$HOME='x"}


@pytest.fixture
def options(s3_server: S3Server) -> dict[str, Any]:
    return s3_server.fresh_bucket()


@pytest.fixture
def store(options: dict[str, Any]) -> Any:
    return S3DataStore(**options)


def read(store: Any, url: str) -> bytes:
    with store.open(url) as stream:
        return bytes(stream.read())


def write_env(folder: Path, values: Mapping[str, str]) -> Path:
    path = folder / "s3.env"
    path.write_text("# keys\n" + "".join(f'export {k}="{v}"\n' for k, v in values.items()))
    return path


def test_it_has_its_documented_places() -> None:
    from atdata import local, stores

    assert atdata.S3DataStore is local.S3DataStore is stores.S3DataStore


@pytest.mark.parametrize("spelling", ["mapping", "positional", "env file", "env path", "arguments"])
def test_credentials_are_given_in_every_spelling(
    s3_server: S3Server, tmp_path: Path, spelling: str
) -> None:
    options = s3_server.fresh_bucket()
    bucket, credentials = options["bucket"], options["credentials"]
    path = write_env(tmp_path, credentials)
    keys = {name: value for name, value in credentials.items() if name != "AWS_ENDPOINT"}
    make = {
        "mapping": lambda: S3DataStore(credentials=credentials, bucket=bucket),
        "positional": lambda: S3DataStore(credentials, bucket=bucket),
        "env file": lambda: S3DataStore(credentials=path, bucket=bucket),
        "env path": lambda: S3DataStore(str(path), bucket=bucket),
        "arguments": lambda: S3DataStore(
            keys, bucket=bucket, endpoint_url=s3_server.endpoint, region="us-east-1"
        ),
    }
    store = make[spelling]()
    url = put(store, "a.tar", b"data")
    assert url == f"s3://{bucket}/a.tar"
    assert read(store, url) == b"data"
    assert store.credentials.items() >= credentials.items()


def test_without_credentials_the_sdk_finds_them(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in options["credentials"].items():
        monkeypatch.setenv(name.replace("ENDPOINT", "ENDPOINT_URL"), value)
    store = S3DataStore(bucket=options["bucket"])
    url = put(store, "a.tar", b"data")
    assert read(S3DataStore(**options), url) == b"data"
    assert store.identify() == S3DataStore(**options).identify()
    pickled = pickle.dumps(store)
    for secret in options["credentials"].values():
        assert secret.encode() not in pickled
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises((StorageError, ShardNotFoundError)):
        store.open(f"s3://{options['bucket']}/b.tar")


@pytest.mark.parametrize("missing", KEYS)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_missing_key_is_named(tmp_path: Path, missing: str, is_file: bool) -> None:
    given = {**KEYS, "AWS_ENDPOINT": "http://host", missing: ""}
    credentials = write_env(tmp_path, given) if is_file else given
    with pytest.raises(ValueError, match=f"no {missing}") as caught:
        S3DataStore(credentials, bucket="bucket")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("is_file", [False, True])
def test_an_endpoint_alone_leaves_the_keys_to_the_sdk(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_file: bool
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    given = {"AWS_ENDPOINT": s3_server.endpoint}
    credentials = write_env(tmp_path, given) if is_file else given
    store = S3DataStore(credentials, bucket=s3_server.fresh_bucket()["bucket"])
    assert read(store, put(store, "a.tar", b"data")) == b"data"
    assert store.credentials == given


def test_a_file_of_credentials_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no-such\.env cannot be read"):
        S3DataStore(tmp_path / "no-such.env", bucket="bucket")
    (tmp_path / "binary").write_bytes(b"\xff\xfe secret")
    with pytest.raises(StorageError, match="binary is not a text"):
        S3DataStore(str(tmp_path / "binary"), bucket="bucket")


@pytest.mark.parametrize(
    "text", ["", "# keys\n", "AWS_ACCESS_KEY_ID: AKID\nAWS_SECRET_ACCESS_KEY: s3cr3t\n"]
)
def test_a_file_of_no_credentials_does_not_mean_those_of_the_sdk(tmp_path: Path, text: str) -> None:
    (tmp_path / "s3.env").write_text(text)
    with pytest.raises(ValueError, match=r"s3\.env has none of AWS_ENDPOINT, .*_ID") as caught:
        S3DataStore(tmp_path / "s3.env", bucket="bucket")
    assert "s3cr3t" not in str(caught.value)


def test_a_mapping_of_names_that_are_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mapping of credentials has none of .*AWS_REGION"):
        S3DataStore({"aws_access_key_id": "AKID", "aws_secret_access_key": "s"}, bucket="bucket")
    # As a program makes it of the variables that are set.
    assert S3DataStore({}, bucket="bucket").credentials == {}


@pytest.mark.parametrize("name", [*KEYS, "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", ["canary\n", " canary", "canary\r\nHost: x"])
def test_c1_a_key_with_a_line_break_is_refused_before_it_is_sent(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has a line break in it or space") as caught:
        S3DataStore({**KEYS, name: value}, bucket="bucket")
    assert "canary" not in str(caught.value)


def test_all_keys_of_a_file_count(tmp_path: Path) -> None:
    more = {"AWS_SESSION_TOKEN": "t0ken", "AWS_DEFAULT_REGION": "eu-west-1", "OTHER": "x"}
    path = tmp_path / ".env"
    path.write_text("".join(f"{k}={v}\n" for k, v in {**KEYS, **more}.items()))
    store = S3DataStore(path, bucket="bucket")
    assert store.credentials == {
        **KEYS,
        "AWS_SESSION_TOKEN": "t0ken",
        "AWS_REGION": "eu-west-1",
    }
    assert S3DataStore(path, bucket="bucket", region="us-west-2").credentials["AWS_REGION"] == (
        "us-west-2"
    )


def test_contradictory_endpoints_are_refused() -> None:
    with pytest.raises(TypeError, match="give one"):
        S3DataStore(bucket="bucket", endpoint="http://a", endpoint_url="http://b")
    for endpoint in (
        "host:9000",
        "ftp://host",
        "http://user:pw@host",
        "http://host/?a=b",
        "http://",
        "http://[::1",
        "http://host:99999",
        "http://höst",
    ):
        with pytest.raises(ValueError, match="no S3 endpoint") as caught:
            S3DataStore(bucket="bucket", endpoint=endpoint)
        assert "pw" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["", "a", "a/b", "../x", "a b", "a?b", "x" * 300, "s3://b/x"])
def test_a_bucket_has_the_name_of_one(bucket: str) -> None:
    with pytest.raises(InvalidNameError, match="is not the name of a bucket") as caught:
        S3DataStore(bucket=bucket)
    assert bucket[:200] in str(caught.value)


@pytest.mark.parametrize("prefix", ["a/{0..3}", "a\\b", "../a", "a/./b", "a\n"])
def test_p1_a_prefix_that_urls_would_not_keep_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNameError, match=r"cannot be a prefix|no key"):
        S3DataStore(bucket="bucket", prefix=prefix)


def test_making_one_connects_to_nothing() -> None:
    store = S3DataStore(KEYS, bucket="bucket", endpoint="http://127.0.0.1:1")
    assert store.bucket == "bucket"
    assert store.supports_streaming() is True


def test_it_is_imported_where_processes_cannot_fork() -> None:
    program = "import os; del os.fork, os.register_at_fork; import atdata_s3.store"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_equal_stores_are_equal_and_pickle() -> None:
    make = partial(S3DataStore, KEYS, bucket="bucket", prefix="/a/b/")
    store = make()
    assert store == make() == pickle.loads(pickle.dumps(store))
    assert hash(store) == hash(make())
    assert store != S3DataStore(KEYS, bucket="bucket")
    assert store.prefix == "a/b/"


def test_c1_neither_repr_nor_vars_show_a_secret() -> None:
    given = {**KEYS, "AWS_SESSION_TOKEN": "t0ken"}
    store = S3DataStore(given, bucket="bucket", endpoint="http://host:1")
    source = store.create_source(["s3://bucket/a.tar"])
    shown = f"{store!r} {vars(store)!r} {source!r} {vars(source)!r} {Index(data_store=store)!r}"
    assert "credentials=***" in shown
    assert "http://host:1" in shown
    for secret in ("AKID", "s3cr3t", "t0ken"):
        assert secret not in shown


def identity(**options: Any) -> str:
    return str(S3DataStore(KEYS, bucket="bucket", prefix="a", **options).identify())


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        (
            ["https://Host.example", "https://host.example:443/", "HTTPS://host.example//"],
            "https://host.example s3://bucket/a/",
        ),
        (["http://HOST:9000/Base/"], "http://host:9000/Base s3://bucket/a/"),
        (["http://[::1]:9000"], "http://[::1]:9000 s3://bucket/a/"),
        (
            ["https://s3.eu-west-1.amazonaws.com", "https://s3-us-west-2.amazonaws.com/"],
            "https://s3.amazonaws.com s3://bucket/a/",
        ),
    ],
)
def test_one_bucket_has_one_identity_however_its_server_is_spelled(
    spellings: list[str], expected: str
) -> None:
    assert {identity(endpoint=spelling) for spelling in spellings} == {expected}


def test_the_region_is_no_part_of_the_identity() -> None:
    found = {identity(region=region) for region in ("us-east-1", "eu-central-1", "ap-east-1")}
    assert found == {"https://s3.amazonaws.com s3://bucket/a/"}


def test_c1_an_identity_holds_no_password_of_an_endpoint_that_the_sdk_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert identity() == "https://s3.amazonaws.com s3://bucket/a/"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:s3cr3t@host:9000/")
    assert identity() == "http://host:9000 s3://bucket/a/"


def test_a_prefix_is_above_all_names(options: dict[str, Any]) -> None:
    whole, part = S3DataStore(**options), S3DataStore(**options, prefix="team/x")
    other = put(whole, "other.tar", b"other")
    url = put(part, "a/b.tar", b"data")
    assert url == f"s3://{options['bucket']}/team/x/a/b.tar"
    assert list(part.list()) == list(part.list("a/")) == [url]
    assert list(whole.list()) == [other, url]
    for act in (part.open, part.delete):
        with pytest.raises(ShardNotFoundError, match=r"other\.tar"):
            act(other)


@pytest.mark.parametrize("size", [PART - 1, 2 * PART - 1, 2 * PART, 3 * PART + 5])
def test_shards_of_any_size_are_stored_whole(store: Any, size: int) -> None:
    data = (b"%015d\n" % 7) * (size // 16) + b"x" * (size % 16)
    assert read(store, put(store, "a.tar", data)) == data


def test_a_large_shard_is_not_overwritten(store: Any) -> None:
    url = put(store, "a.tar", b"first")
    with pytest.raises(ConflictError, match=r"a\.tar"):
        put(store, "a.tar", bytes(2 * PART))
    assert read(store, url) == b"first"
    assert list(store.leftovers("mine", "t0ken")) == []


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_what_came_meanwhile_is_not_overwritten(store: Any, size: int) -> None:
    name = shard_name("mine", "t0ken", 0)
    with store.spool() as file:
        file.write(bytes(size))
        with pytest.raises(ConflictError, match="mine/data"):
            store.put(name, cast("IO[bytes]", Hurried(file, partial(put, store, name, b"theirs"))))
    assert read(store, f"s3://{store.bucket}/{name}") == b"theirs"
    assert [left.kind for left in store.leftovers("mine", "t0ken")] == ["shard"]


@pytest.mark.parametrize("prefix", ["x" * 2000, "a\0b", "a\ud800", "../a", "a\x01/"], ids=ascii)
def test_below_a_prefix_that_no_key_has_there_is_nothing(store: Any, prefix: str) -> None:
    """Such a one may stand in the record of a write that somebody made up."""
    put(store, "a.tar", b"data")
    assert list(store.list(prefix)) == []
    assert list(store.leftovers(prefix, "t0ken")) == []


class Hurried:
    """A file that lets something happen when its upload begins."""

    def __init__(self, file: IO[bytes], meanwhile: Callable[[], object]) -> None:
        self._file = file
        self._meanwhile = meanwhile
        self.flush = file.flush

    def fileno(self) -> int:
        self._meanwhile()
        return self._file.fileno()


def test_uploads_that_were_begun_are_leftovers_of_their_token(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    store = S3DataStore(**options, prefix="team")
    begin = partial(s3_server.client.create_multipart_upload, Bucket=options["bucket"])
    names = [shard_name("mine", token, 0) for token in ("one", "two")]
    for name in names:
        begun = begin(Key=f"team/{name}")["UploadId"]
        part = {"Key": f"team/{name}", "UploadId": begun, "PartNumber": 1}
        s3_server.client.upload_part(Bucket=options["bucket"], **part, Body=b"part")
    assert list(store.list()) == []
    (left,) = store.leftovers("mine", "one")
    assert (left.kind, left.url) == ("upload", f"s3://{options['bucket']}/team/{names[0]}")
    store.remove(left)
    store.remove(left)
    assert list(store.leftovers("mine", "one")) == []
    assert len(list(store.leftovers("mine", "two"))) == 1


def test_a_read_url_is_on_the_endpoint_if_one_was_given() -> None:
    url = "s3://bucket/path/a b#?%41\u00fc.tar"
    there = S3DataStore(KEYS, bucket="bucket", endpoint="https://s3.example.com/")
    expected = "https://s3.example.com/bucket/path/a%20b%23%3F%2541%C3%BC.tar"
    assert there.read_url(url) == expected
    assert there.read_url("https://else.where/a.tar") == "https://else.where/a.tar"
    assert S3DataStore(KEYS, bucket="bucket").read_url(url) == url


def test_a_presigned_url_opens_without_keys_until_it_expires(
    s3_server: S3Server, store: Any
) -> None:
    url = put(store, "a b/ü#?%41.tar", b"data")
    with urllib.request.urlopen(store.read_url(url, expires=60)) as answer:
        assert answer.read() == b"data"
    for life in (0, -1, 8 * 24 * 3600):
        with pytest.raises(ValueError, match="expires after 1 to"):
            store.read_url(url, expires=life)
    with pytest.raises(ShardNotFoundError):
        store.read_url("s3://elsewhere/a.tar", expires=60)


def test_the_signature_of_a_presigned_url_is_checked(s3_server: S3Server, store: Any) -> None:
    s3_server.need_signatures()
    url = put(store, "a.tar", b"data")
    signed = store.read_url(url, expires=60)
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(store.read_url(url))
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(signed.replace("a.tar", "b.tar"))


@pytest.mark.parametrize("region", [None, "us-east-1", "eu-west-1"])
def test_a_presigned_url_has_the_signature_that_all_servers_take(region: str | None) -> None:
    store = S3DataStore(KEYS, bucket="bucket", region=region)
    signed = store.read_url("s3://bucket/a.tar", expires=60)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in signed


def test_it_makes_sources_of_what_is_its_own_and_leaves_the_rest_to_others(
    store: Any, tmp_path: Path
) -> None:
    own = f"s3://{store.bucket}/a-{{0..1}}.tar"
    source = store.create_source([own])
    assert source.list_shards() == [f"s3://{store.bucket}/a-{n}.tar" for n in (0, 1)]
    assert source == store.create_source(source.list_shards())
    other = store.create_source(["s3://others/a.tar"])
    assert (other.bucket, other.endpoint) == ("others", None)
    assert isinstance(store.create_source([str(tmp_path / "a.tar")]), URLSource)
    with pytest.raises(InvalidNameError, match="one bucket"):
        store.create_source([own, "s3://others/a.tar"])


def test_shards_are_written_with_the_documented_options(store: Any, tmp_path: Path) -> None:
    local = [
        info.url for info in atdata.LocalDiskStore(tmp_path).write_samples(items(9), prefix="x")
    ]
    ds = Dataset[Item](local)
    for cache_local, prefix in ((False, "v1"), (True, "v1/")):
        urls = store.write_shards(
            ds, prefix=prefix, maxcount=4, maxsize=1 << 30, cache_local=cache_local
        )
        assert len(urls) == 3
        assert all(url.startswith(f"s3://{store.bucket}/v1/") for url in urls)
        assert list(Dataset[Item](store.create_source(urls))) == items(9)
    with pytest.raises(RuntimeError) as caught:
        store.write_shards(ds.filter(lambda _: False), prefix="v1")
    assert isinstance(caught.value, EmptyDatasetError)


FULL_DISK = """
import resource, signal, sys, tempfile
from atdata.errors import StorageError
from atdata.stores import S3DataStore
from tests.sample_types import items

samples, limit = items(2), int(sys.argv[1])
tempfile.gettempdir()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
store = S3DataStore({}, bucket="bucket", endpoint="http://127.0.0.1:1")
try:
    store.write_samples(samples, prefix="mine")
except StorageError as error:
    print(error)
"""


# The last is missing one byte.
@pytest.mark.parametrize("limit", [0, 1000, 3071])
def test_w5_a_spool_that_cannot_grow_is_an_error_of_ours(limit: int) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "a shard could not be written: File too large\n", done.stderr


def test_an_index_inserts_and_loads_by_name(store: Any, tmp_path: Path) -> None:
    local = [
        info.url for info in atdata.LocalDiskStore(tmp_path).write_samples(items(9), prefix="x")
    ]
    with Index(path=tmp_path / "index.db", data_store=store) as index:
        entry = index.insert_dataset(Dataset[Item](local), name="mine", prefix="datasets/v1")
        assert entry.data_urls[0].startswith(f"s3://{store.bucket}/datasets/v1/")
        assert list(load_dataset("@local/mine", Item, split="train", index=index)) == items(9)


def test_a_repo_keeps_its_shards_below_its_path(options: dict[str, Any], tmp_path: Path) -> None:
    local = [
        info.url for info in atdata.LocalDiskStore(tmp_path).write_samples(items(9), prefix="x")
    ]
    env = write_env(tmp_path, options["credentials"])
    for credentials in (options["credentials"], str(env)):
        with pytest.warns(DeprecationWarning, match="ends with the process"):
            repo = Repo(s3_credentials=credentials, hive_path=f"{options['bucket']}/datasets/")
        entry, stored = repo.insert(
            Dataset[Item](local), name="mine", cache_local=True, maxcount=5, maxsize=100_000_000
        )
        assert len(entry.data_urls) == 2
        assert stored.shard_list == entry.data_urls
        assert stored.url.startswith(f"s3://{options['bucket']}/datasets/data--")
        assert list(stored) == items(9)
