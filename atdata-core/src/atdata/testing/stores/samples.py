"""Samples that are written through a store and read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from atdata.dataset import Dataset, load_dataset
from atdata.errors import EmptyDatasetError
from atdata.index import Index
from atdata.stores import Cut, DataStore, new_token
from atdata.testing.readings import Reading, readings, shard_of
from atdata.testing.spooled import put, read
from atdata.testing.stores.handles import StoreKit


class SampleTests(StoreKit):
    """Samples that are written through a store and read back."""

    def test_samples_are_written_and_read_back(self, store: DataStore) -> None:
        shards = store.write_samples(readings(10), prefix="mine", cut=Cut(maxcount=4))
        urls = [shard.url for shard in shards]
        assert [shard.count for shard in shards] == [4, 4, 2]
        assert list(store.list("mine/")) == urls
        for shard in shards:
            data = read(store, shard.url)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
        ds = Dataset[Reading](store.create_source(urls))
        assert list(ds) == readings(10)
        assert list(ds) == readings(10)

    def test_a_dataset_is_written_twice_without_a_clash(self, store: DataStore) -> None:
        url = put(store, "a.tar", shard_of(readings(5)))
        ds = Dataset[Reading](store.create_source([url]))
        first = store.write_shards(ds, prefix="copies/v1", maxcount=2)
        second = store.write_shards(ds, prefix="copies/v1")
        assert len({*first, *second}) == 4
        assert list(Dataset[Reading](store.create_source(first))) == readings(5)

    def test_an_index_writes_and_loads_through_it(self, store: DataStore) -> None:
        with Index(provider="memory", data_store=store) as index:
            index.write({"train": readings(7), "test": readings(2, 7)}, name="mine", maxcount=3)
            index.write(readings(1), name="mine")
            splits = load_dataset("@local/mine@1", Reading, index=index)
            assert list(splits["train"]) == readings(7)
            assert list(splits["test"]) == readings(2, 7)
            newest = load_dataset("@local/mine", Reading, split="train", index=index)
            assert list(newest) == readings(1)

    def test_samples_that_fail_midway_leave_nothing(self, store: DataStore) -> None:
        kept = put(store, "mine/kept.tar", b"data")
        with pytest.raises(ZeroDivisionError):
            store.write_samples(_failing(5), prefix="mine", cut=Cut(maxcount=2))
        with Index(provider="memory", data_store=store) as index:
            with pytest.raises(ZeroDivisionError):
                index.write(_failing(5), name="mine", maxcount=2)
            assert index.list_datasets() == []
        with pytest.raises(EmptyDatasetError):
            store.write_samples([], prefix="mine")
        assert list(store.list()) == [kept]

    def test_the_shards_of_one_write_are_told_by_its_token(self, store: DataStore) -> None:
        kept = put(store, "mine/kept.tar", b"data")
        cut, token = Cut(maxcount=2), new_token()
        first = store.write_samples(readings(5), prefix="mine", cut=cut, token=token)
        second = store.write_samples(readings(5), prefix="mine", cut=cut)
        found = list(store.leftovers("mine", token))
        assert [leftover.url for leftover in found] == [shard.url for shard in first]
        for leftover in found:
            store.remove(leftover)
            store.remove(leftover)
        assert list(store.list()) == sorted([kept, *(shard.url for shard in second)])


def _failing(count: int) -> Iterator[Reading]:
    yield from readings(count)
    raise ZeroDivisionError
