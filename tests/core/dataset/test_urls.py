"""Where shards come from: brace patterns, schemes, what is never opened, what is never shown."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import braceexpand
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_types import Item, items
from tests.shard_files import write_shard, write_shards

from atdata import AtdataError, Dataset, DataSource, URLSource, load_dataset
from atdata.dataset.braces import as_patterns, expand_all, expand_braces
from atdata.errors import (
    InvalidNameError,
    LimitExceededError,
    PluginNotFoundError,
    ShardNotFoundError,
    StorageError,
    UntrustedInputError,
)

SECRETS = [
    "https://user:s3cret@host.example/a.tar",
    "https://user:s3@s3cret@host.example/a.tar",
    "https://host.example/a.tar?X-Amz-Signature=s3cret",
    "https://host.example/a.tar?token=s3cret/x@y",
    "https://s3cret@host.example/{a,b}.tar",
    "HTTPS://user:s3cret@host.example/a.tar?k=s3cret",
]


@pytest.mark.parametrize(
    ("pattern", "shards"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{0..2}.tar", ["a-0.tar", "a-1.tar", "a-2.tar"]),
        ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
        ("a-{2..0}.tar", ["a-2.tar", "a-1.tar", "a-0.tar"]),
        ("a-{0..4..2}.tar", ["a-0.tar", "a-2.tar", "a-4.tar"]),
        ("{a..c}.tar", ["a.tar", "b.tar", "c.tar"]),
        ("{x,y}-{0..1}.tar", ["x-0.tar", "x-1.tar", "y-0.tar", "y-1.tar"]),
        ("{x{0..1},y}.tar", ["x0.tar", "x1.tar", "y.tar"]),
        ("a-{train}.tar", ["a-{train}.tar"]),
        ("a{,b}.tar", ["a.tar", "ab.tar"]),
        (r"c:\data\{a,b}.tar", [r"c:\data\a.tar", r"c:\data\b.tar"]),
    ],
)
def test_braces_expand_as_in_a_shell(pattern: str, shards: list[str]) -> None:
    assert URLSource(pattern).list_shards() == shards


@given(
    st.recursive(
        st.sampled_from(["a", "b", "0..3", "c,d", "", "{1..9}", "-2..2"]),
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: "{" + ",".join(parts) + "}"
        ),
        max_leaves=12,
    )
)
def test_braces_expand_as_the_library_does(pattern: str) -> None:
    assert expand_braces(pattern) == list(braceexpand.braceexpand(pattern, escape=False))


@pytest.mark.parametrize(
    "pattern",
    [
        "a-{0..1000000000}.tar",
        "a-{0..99999}-{0..99999}.tar",
        "{a,b}" * 26,
        "{" + "{a,b}" * 26 + ",x}",
        "{0..99999},{0..99999}",
        "{-1000000000..1000000000}",
        "{0..100000000000000000000000000000000000}",
        "{" + "0" * 5000 + "..9}",
        "{1" + "0" * 30 + "..1" + "0" * 31 + "}",
        "{" + ",".join(["{0..9999}"] * 20) + "}",
        "x" * 100_000 + "{0..99999}",
        "{a,b}" * 10_000,
    ],
    ids=range(12),
)
def test_n6_brace_bombs_are_refused_at_once(pattern: str) -> None:
    before = time.process_time()
    with pytest.raises(LimitExceededError, match="shards"):
        Dataset[Item](pattern).list_shards()
    # A tenth of it untraced; expanding any of these would take minutes.
    assert time.process_time() - before < 1


def test_n6_patterns_that_are_expanded_together_share_one_limit() -> None:
    parts = ["a-{00000..49999}", "plain", "b-{00000..49999}"]
    assert len(expand_all(parts)) == 100_001
    before = time.process_time()
    with pytest.raises(LimitExceededError, match="shards"):
        expand_all(["a-{00000..99999}"] * 1000)
    assert time.process_time() - before < 1
    assert expand_all([]) == []


def test_n6_many_real_shards_are_no_bomb() -> None:
    assert len(URLSource("{train-{0000..9999},val-{0000..9999}}.tar").list_shards()) == 20_000
    assert len(URLSource("a-{00000..99999}.tar").list_shards()) == 100_000


@pytest.mark.parametrize(
    "pattern", ["a-{0..3.tar", "a-0..3}.tar", "{{a,b}.tar", "}{", "{" * 40 + "a,b" + "}" * 40]
)
def test_braces_that_do_not_match_are_an_error(pattern: str) -> None:
    with pytest.raises(InvalidNameError, match="braces"):
        Dataset[Item](pattern).list_shards()
    with pytest.raises(ValueError, match="braces"):
        load_dataset(pattern, Item)


@pytest.mark.parametrize(
    "url",
    [
        "pipe:touch {canary}",
        "PIPE:touch {canary}",
        " pipe:touch {canary}",
        "\tpipe:touch {canary}",
        "\npipe:touch {canary}",
        "pipe://touch {canary}",
        "Pipe: touch {canary}",
    ],
)
def test_x1_pipes_are_never_opened(url: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(UntrustedInputError, match="pipe:"):
        Dataset[Item](url.format(canary=canary))
    with pytest.raises(AtdataError):
        list(Dataset[Item](URLSource(url.format(canary=canary))))
    with pytest.raises(AtdataError):
        load_dataset(url.format(canary=canary), Item)
    assert not canary.exists()


@pytest.mark.parametrize("url", ["%70ipe:touch x", "-", "|ls", "{pipe:ls,b}", "file:pipe:ls"])
def test_x1_what_looks_like_a_pipe_is_a_missing_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShardNotFoundError):
        list(Dataset[Item](url))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme_is_an_error_that_names_it() -> None:
    with pytest.raises(PluginNotFoundError, match="nosuchscheme"):
        Dataset[Item]("nosuchscheme://host/a.tar")
    with pytest.raises(ValueError, match="nosuchscheme"):
        Dataset[Item](["nosuchscheme://host/a.tar", "nosuchscheme://host/b.tar"])


def test_a_scheme_whose_package_is_missing_says_what_to_install() -> None:
    with pytest.raises(PluginNotFoundError, match=r"'adl'.*[Ii]nstall") as caught:
        Dataset[Item]("adl://store/a.tar")
    mixed = Dataset[Item](["adl://store/a.tar", "a.tar"])
    with pytest.raises(PluginNotFoundError, match=r"adl: URLs.*install"):
        list(mixed)
    assert isinstance(caught.value, ImportError)


def test_schemes_that_fsspec_serves_are_read() -> None:
    import fsspec
    from tests.shard_files import shard_bytes

    with fsspec.open("memory://folder/a.tar", "wb") as out:
        out.write(shard_bytes(items(30)))
    assert list(Dataset[Item]("memory://folder/a.tar")) == items(30)
    assert list(load_dataset("memory://folder/*.tar", Item, split="train")) == items(30)
    with pytest.raises(ShardNotFoundError, match=r"memory://folder/b\.tar"):
        list(Dataset[Item]("memory://folder/b.tar"))


@pytest.mark.parametrize("url", SECRETS)
def test_c2_secrets_in_urls_are_never_shown(url: str) -> None:
    source = URLSource(url)
    others = URLSource([url, url.replace("host", "other")])
    shown = [repr(source), repr(others), repr(Dataset[Item](url)), repr(Dataset[Item](others))]
    assert not any("s3cret" in text for text in shown)
    with pytest.raises(ShardNotFoundError) as caught:
        source.open_shard(url + "x")
    assert "s3cret" not in repr(caught.value) + str(caught.value) + repr(vars(caught.value))


def test_c3_errors_and_their_causes_hide_secrets_too() -> None:
    url = "http://user:s3cret@127.0.0.1:9/a.tar?token=s3cret"
    with pytest.raises(StorageError) as caught:
        list(Dataset[Item](url))
    error: BaseException | None = caught.value
    assert "127.0.0.1:9/a.tar" in str(error)
    while error is not None:
        assert "s3cret" not in repr(error) + repr(vars(error))
        error = error.__cause__
    assert b"s3cret" not in pickle.dumps(caught.value)


def test_a_path_that_cannot_be_is_an_error() -> None:
    with pytest.raises(InvalidNameError, match="NUL"):
        list(Dataset[Item]("a\0b.tar"))
    with pytest.raises(InvalidNameError):
        list(Dataset[Item]("\udcff\ud800.tar"))


def test_a_folder_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is a folder.*load_dataset"):
        list(Dataset[Item](tmp_path))


def test_wildcards_are_no_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", items(3))
    with pytest.raises(ShardNotFoundError, match=r"\*\.tar; load_dataset also takes wildcards"):
        list(Dataset[Item](tmp_path / "*.tar"))


def test_a_path_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_shard(tmp_path / "a.tar", items(3))
    assert list(Dataset[Item]("~/a.tar")) == items(3)


def test_a_file_url_may_hold_escapes(tmp_path: Path) -> None:
    write_shard(tmp_path / "with space" / "a.tar", items(3))
    assert list(Dataset[Item](f"file://{tmp_path}/with%20space/a.tar")) == items(3)


def test_a_source_is_a_value(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(6), 2)
    source = URLSource(paths)
    assert isinstance(source, DataSource)
    assert pickle.loads(pickle.dumps(source)) == source == URLSource(paths)
    assert hash(source) == hash(URLSource(paths))
    assert source != URLSource(paths[0])
    assert source != paths
    assert URLSource("a.tar.gz", compression="gzip") != URLSource("a.tar.gz")
    assert source.shard_list == source.list_shards() == paths


@pytest.mark.parametrize("call", [False, True])
def test_shards_are_pairs_of_name_and_stream(call: bool, tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(6), 2)
    shards: Any = URLSource(paths).shards
    found = []
    streams = []
    for name, stream in shards() if call else shards:
        found.append((name, stream.read()))
        streams.append(stream)
    assert found == [(path, Path(path).read_bytes()) for path in paths]
    assert all(stream.closed for stream in streams)


def test_a_source_opens_only_its_own_shards(tmp_path: Path) -> None:
    one, two = write_shards(tmp_path, items(6), 2)
    with pytest.raises(KeyError, match="not a shard of"):
        URLSource(one).open_shard(two)
    with URLSource(one).open_shard(one) as stream:
        assert stream.read() == Path(one).read_bytes()


def test_a_pattern_is_kept_only_where_it_stands_for_the_same_shards() -> None:
    assert as_patterns("x-{0..1}.tar", ["x-0.tar", "x-1.tar"]) == ["x-{0..1}.tar"]
    source = URLSource(["x-a,b.tar", "x-c.tar"])
    assert as_patterns(source.url, source.list_shards()) == ["x-a,b.tar", "x-c.tar"]
