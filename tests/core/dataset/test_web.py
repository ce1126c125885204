"""Shards on a real web server, with its good and bad days."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sample_types import Item, items
from tests.services.file_server import cut, file_server, status
from tests.shard_files import write_shards
from tests.web_server import Web, serving

from atdata import Dataset, load_dataset
from atdata.errors import NoDataFilesError, ShardNotFoundError, StorageError

SHARDS = "part-{0000..0002}.tar"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    write_shards(tmp_path, items(3000), 3)
    with serving(tmp_path) as web:
        yield web


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("head", [True, False])
def test_shards_are_read_from_any_server(web: Web, ranges: bool, head: bool) -> None:
    web.ranges, web.head = ranges, head
    assert list(Dataset[Item](f"{web.url}/{SHARDS}")) == items(3000)


def test_each_shard_is_one_request(web: Web) -> None:
    list(Dataset[Item](f"{web.url}/{SHARDS}"))
    assert web.requests == [f"GET /part-{n:04d}.tar" for n in range(3)]


def test_queries_are_sent_along(web: Web) -> None:
    list(Dataset[Item](f"{web.url}/part-0000.tar?token=abc"))
    assert web.requests == ["GET /part-0000.tar?token=abc"]


def test_a_missing_shard_is_not_found(web: Web) -> None:
    with pytest.raises(ShardNotFoundError, match=r"127\.0\.0\.1.*/nope\.tar") as caught:
        list(Dataset[Item](f"{web.url}/nope.tar?token=s3cret"))
    assert isinstance(caught.value, FileNotFoundError)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_refusal_names_its_status(web: Web, status: int) -> None:
    web.status = status
    with pytest.raises(StorageError, match=f"part-0000.tar.*HTTP status {status}"):
        list(Dataset[Item](f"{web.url}/{SHARDS}"))


@pytest.mark.parametrize("cut", [0, 1, 512, 100_000])
def test_a_connection_that_breaks_off_is_an_error(web: Web, cut: int) -> None:
    web.cut = cut
    ds = Dataset[Item](f"{web.url}/part-0000.tar")
    with pytest.raises(StorageError, match=r"part-0000\.tar (cannot be read|breaks off)"):
        list(ds)
    web.cut = None
    assert list(ds) == items(1000)


@pytest.mark.parametrize("chunked", [True, False])
def test_samples_come_once_each_whatever_breaks_off(tmp_path: Path, chunked: bool) -> None:
    write_shards(tmp_path, items(3000), 1)
    with file_server((tmp_path / "part-0000.tar").read_bytes()) as server:
        server.chunked = chunked
        faults = [status(503), cut(700_000), status(429, retry_after="0"), cut(0), cut(65_000)]
        for ordered in (True, False):
            server.faults.extend(faults)
            ds = Dataset[Item](f"{server.url}/a.tar")
            found = ds.ordered() if ordered else ds.shuffled()
            assert sorted(found, key=lambda item: item.number) == items(3000)
            assert not server.faults


def test_a_server_that_is_not_there_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9/a\.tar"):
        list(Dataset[Item]("http://127.0.0.1:9/a.tar"))


def test_datasets_on_the_web_are_loaded_and_split(web: Web) -> None:
    assert list(load_dataset(f"{web.url}/part-0001.tar", Item, split="train")) == items(1000, 1000)
    loaded = load_dataset(f"{web.url}/data-{{train,test}}-0.tar", Item)
    assert {name: ds.url for name, ds in loaded.items()} == {
        "train": f"{web.url}/data-train-0.tar",
        "test": f"{web.url}/data-test-0.tar",
    }


def test_patterns_need_a_server_that_lists(web: Web) -> None:
    with pytest.raises((NoDataFilesError, StorageError), match="part-"):
        load_dataset(f"{web.url}/part-*.tar", Item)


def _count(url: str) -> int:
    return sum(1 for _ in Dataset[Item](url))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_is_read_in_a_fork_of_a_process_that_read_it(web: Web) -> None:
    url = f"{web.url}/{SHARDS}"
    assert _count(url) == 3000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_count, [url] * 2).get(timeout=60) == [3000, 3000]
    assert _count(url) == 3000
