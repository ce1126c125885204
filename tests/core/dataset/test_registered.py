"""What an index knows of a shard is compared whenever a dataset is read by name."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sample_types import Item, items
from tests.shard_files import shard_bytes, write_with_webdataset
from tests.web_server import serving

from atdata import AtdataError, Dataset, Index, LocalDatasetEntry, load_dataset, packable
from atdata.dataset import URLSource
from atdata.dataset.loading import entry_datasets
from atdata.errors import CorruptDataError, ShardNotFoundError
from atdata.shards import ShardInfo

COUNT = 30


@packable
class Picture:
    pixels: NDArray[np.uint8]


WAYS: dict[str, Callable[[Dataset[Any]], Any]] = {
    "iteration": list,
    "ordered": lambda ds: list(ds.ordered()),
    "ordered in batches": lambda ds: list(ds.ordered(batch_size=7)),
    "shuffled": lambda ds: list(ds.shuffled(seed=1)),
    "shuffled in batches": lambda ds: list(ds.shuffled(batch_size=7)),
    "mapped": lambda ds: list(ds.map(lambda sample: sample)),
    "selected in batches": lambda ds: list(ds.select("text").ordered(batch_size=7)),
    "to_arrow": lambda ds: ds.to_arrow(),
    "to_pandas": lambda ds: ds.to_pandas(),
    "write": lambda ds: Index().write(ds, name="copy"),
}
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(path=tmp_path / "index.db") as index:
        index.write(items(COUNT), name="digits", maxcount=10)
        yield index


def load(index: Index, verify: bool | None = None) -> Dataset[Item]:
    return load_dataset("@local/digits", Item, split="train", index=index, verify=verify)


def second_shard(index: Index) -> Path:
    return Path(index.get_dataset("digits").data_urls[1])


def flip(path: Path, at: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


def flip_a_value(path: Path) -> None:
    flip(path, path.read_bytes().index(b"text 15") + 5)


@every_way
def test_a_shard_of_fewer_samples_is_an_error(index: Index, way: str) -> None:
    path = second_shard(index)
    # The end mark is longer, so that the size is the same.
    path.write_bytes(shard_bytes(items(9, 10)).ljust(path.stat().st_size, b"\0"))
    with pytest.raises(CorruptDataError, match="9 samples, not 10") as caught:
        WAYS[way](load(index))
    assert str(path) in str(caught.value)
    assert "dataset 'digits'" in str(caught.value)
    assert caught.value.details["dataset"] == "digits"


@every_way
def test_a_shard_of_another_size_is_an_error(index: Index, way: str) -> None:
    path = second_shard(index)
    path.write_bytes(path.read_bytes() + bytes(512))
    with pytest.raises(CorruptDataError, match="bytes, not") as caught:
        WAYS[way](load(index))
    assert str(path) in str(caught.value)
    assert "dataset 'digits'" in str(caught.value)


@every_way
def test_a_changed_value_is_an_error_where_digests_are_asked_for(index: Index, way: str) -> None:
    flip_a_value(second_shard(index))
    with pytest.raises(CorruptDataError, match="SHA-256") as caught:
        WAYS[way](load(index, verify=True))
    assert str(second_shard(index)) in str(caught.value)
    assert "dataset 'digits'" in str(caught.value)


def test_local_digests_are_compared_only_where_asked_for(index: Index) -> None:
    flip_a_value(second_shard(index))
    for verify in (None, False):
        assert len(list(load(index, verify))) == COUNT


def test_sound_shards_are_read_with_digests_as_without(index: Index) -> None:
    for way in WAYS.values():
        way(load(index, verify=True))
    assert list(load(index, verify=True)) == items(COUNT)


def test_large_values_are_digested_too(tmp_path: Path) -> None:
    with Index(path=tmp_path / "index.db") as index:
        entry = index.write((Picture(np.full(70_000, n, np.uint8)) for n in range(8)), name="p")
        path = Path(entry.data_urls[0])
        flip(path, path.read_bytes().rindex(bytes([3]) * 60_000))
        ds = load_dataset("@local/p", index=index, split="train", verify=True)
        with pytest.raises(CorruptDataError, match="SHA-256"):
            list(ds.ordered(batch_size=4))


def test_the_error_comes_before_the_shard_is_said_to_be_through(index: Index) -> None:
    flip_a_value(second_shard(index))
    samples = iter(load(index, verify=True))
    assert [next(samples).number for _ in range(20)] == list(range(20))
    with pytest.raises(CorruptDataError):
        next(samples)


def test_a_size_that_differs_is_an_error_before_any_sample(index: Index) -> None:
    path = Path(index.get_dataset("digits").data_urls[0])
    path.write_bytes(path.read_bytes() + bytes(512))
    with pytest.raises(CorruptDataError):
        next(iter(load(index)))


def test_a_shard_that_is_gone_is_an_error_that_names_dataset_and_remedy(index: Index) -> None:
    second_shard(index).unlink()
    with pytest.raises(ShardNotFoundError, match=r"dataset 'digits'.*put them back"):
        list(load(index))


@pytest.fixture(params=["atdata", "webdataset"])
def shard(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a shard of about 20 kB."""
    path = tmp_path / "shard.tar"
    if request.param == "atdata":
        path.write_bytes(shard_bytes(items(19)))
    else:
        write_with_webdataset(path, items(9))
    assert 19_000 < path.stat().st_size < 21_000
    return path


class _IndexOf:
    """As much of an index as opens one source."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def create_source(self, urls: list[str]) -> Any:
        assert urls == self._source.list_shards()
        return self._source


def read_by_entry(path: Path, source: Any, verify: bool | None = None) -> Dataset[Item]:
    """Return a dataset as an index makes it of an entry that knows its only shard."""
    data, [url] = path.read_bytes(), source.list_shards()
    count = len(list(Dataset[Item](str(path))))
    known = ShardInfo(url, count, len(data), hashlib.sha256(data).hexdigest())
    entry = LocalDatasetEntry("digits", "unused", [url], shards=[known])
    index: Any = _IndexOf(source)
    return entry_datasets(entry, index, Item, verify=verify)["train"]


def check_every_flip_is_noticed(path: Path, ds: Dataset[Item], *, all_of_them: bool) -> None:
    """Flip bits one after the other: all, or some of every place in a block and in a byte."""
    good = list(ds)
    for number in range(0, 8 * path.stat().st_size, 1 if all_of_them else 331):
        at, bit = divmod(number, 8)
        flip(path, at, bit)
        with pytest.raises(AtdataError):
            list(ds)
        flip(path, at, bit)
    assert list(ds) == good


some_or_all = pytest.mark.parametrize(
    "all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)]
)


@some_or_all
def test_truncation_at_any_offset_is_an_error(shard: Path, all_of_them: bool) -> None:
    ds = read_by_entry(shard, URLSource(str(shard)))
    for size in reversed(range(0, shard.stat().st_size, 1 if all_of_them else 97)):
        os.truncate(shard, size)
        with pytest.raises(CorruptDataError, match="dataset 'digits'"):
            list(ds)


@some_or_all
def test_every_bit_flip_in_a_file_is_noticed_where_asked_for(
    shard: Path, all_of_them: bool
) -> None:
    ds = read_by_entry(shard, URLSource(str(shard)), verify=True)
    check_every_flip_is_noticed(shard, ds, all_of_them=all_of_them)


@some_or_all
def test_every_bit_flip_on_a_web_server_is_noticed(
    shard: Path, tmp_path: Path, all_of_them: bool
) -> None:
    with serving(tmp_path) as web:
        ds = read_by_entry(shard, URLSource(f"{web.url}/shard.tar"))
        check_every_flip_is_noticed(shard, ds, all_of_them=all_of_them)


def test_digests_of_remote_shards_are_compared_unless_that_is_switched_off(shard: Path) -> None:
    class Remote(URLSource):
        is_remote = True

    ds = read_by_entry(shard, Remote(str(shard)))
    trusting = read_by_entry(shard, Remote(str(shard)), verify=False)
    flip(shard, shard.read_bytes().index(b"text 5") + 5)
    with pytest.raises(CorruptDataError, match="SHA-256"):
        list(ds)
    assert list(trusting)[5].text == "text 4"


def test_a_source_that_compares_digests_itself_is_believed(shard: Path) -> None:
    class Checked(URLSource):
        is_remote = True
        checks_digests = True

    ds = read_by_entry(shard, Checked(str(shard)))
    flip(shard, shard.read_bytes().index(b"text 5") + 5)
    assert list(ds)[5].text == "text 4"


@pytest.mark.parametrize("remote", [False, True])
def test_a_compressed_shard_is_compared_as_it_is_stored(tmp_path: Path, remote: bool) -> None:
    class Source(URLSource):
        is_remote = remote

    path = tmp_path / "shard.tar.gz"
    path.write_bytes(gzip.compress(shard_bytes(items(COUNT))))
    ds = read_by_entry(path, Source(str(path)), verify=True)
    assert list(ds) == list(ds.ordered()) == items(COUNT)
    path.write_bytes(gzip.compress(shard_bytes(items(COUNT)), compresslevel=1))
    with pytest.raises(CorruptDataError, match="not the one that was registered"):
        list(ds)


def test_an_entry_that_knows_other_shards_than_it_names_is_an_error(index: Index) -> None:
    entry = index.get_dataset("digits")
    known = entry.shards or []
    for shards in (known[:2], [*known[1:], known[0]], [*known, known[0]]):
        odd = LocalDatasetEntry("digits", entry.schema_ref, entry.data_urls, shards=shards)
        with pytest.raises(CorruptDataError, match="other shards"):
            entry_datasets(odd, index, Item)


def test_a_source_that_lists_other_shards_than_it_was_asked_for_is_an_error(index: Index) -> None:
    class Careless(Index):
        def create_source(self, urls: Sequence[str], **options: Any) -> Any:
            return super().create_source(urls[1:], **options)

    careless = Careless(provider=index.provider)
    with pytest.raises(CorruptDataError, match="lists 2 shards"):
        load(careless)


def test_only_what_an_index_knows_can_be_verified(index: Index) -> None:
    with pytest.raises(TypeError, match="by name"):
        load_dataset(str(second_shard(index)), Item, split="train", verify=True)


def test_workers_compare_what_is_known(index: Index) -> None:
    flip_a_value(second_shard(index))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        done = pool.submit(list, load(index, verify=True))
        with pytest.raises(CorruptDataError, match="dataset 'digits'"):
            done.result()
