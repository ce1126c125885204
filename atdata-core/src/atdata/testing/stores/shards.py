"""Bytes that are put and opened, whole or not at all."""

from __future__ import annotations

import random

import pytest

from atdata.errors import ShardNotFoundError
from atdata.protocols import AbstractDataStore
from atdata.stores import DataStore
from atdata.testing.spooled import interrupted, put, read
from atdata.testing.stores.handles import StoreKit


class ShardTests(StoreKit):
    """Bytes that are put and opened, whole or not at all."""

    def test_it_is_a_data_store(self, store: DataStore) -> None:
        assert isinstance(store, DataStore)
        assert isinstance(store, AbstractDataStore)
        assert list(store.list()) == []

    def test_what_is_put_is_opened_listed_and_deleted(self, store: DataStore) -> None:
        url = put(store, "a/b.tar", b"0123456789")
        assert read(store, url) == b"0123456789"
        assert list(store.list()) == [url]
        store.delete(url)
        assert list(store.list()) == []

    def test_urls_and_ways_to_read_are_told(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        assert isinstance(url, str)
        assert isinstance(store.read_url(url), str)
        assert isinstance(store.supports_streaming(), bool)

    def test_a_shard_may_be_empty(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"")
        assert read(store, url) == b""
        assert list(store.list()) == [url]

    @pytest.mark.parametrize("offset", [0, 1, 50_000, 99_999, 100_000, 100_001, 1 << 40])
    def test_it_opens_at_an_offset(self, store: DataStore, offset: int) -> None:
        data = random.Random(1).randbytes(100_000)
        # Where CI is set, pytest would explain for an hour how so many bytes differ.
        is_same = read(store, put(store, "a.tar", data), offset) == data[offset:]
        assert is_same

    @pytest.mark.parametrize("size", [1, 7, 4096, 99_999, 1 << 20])
    def test_a_read_gives_at_most_what_was_asked(self, store: DataStore, size: int) -> None:
        data = random.Random(1).randbytes(min(100_000, size * 1000))
        with store.open(put(store, "a.tar", data)) as stream:
            parts = list(iter(lambda: stream.read(size), b""))
            is_whole = b"".join(parts) == data
            assert is_whole
            assert max(map(len, parts)) <= size
            assert stream.read(size) == b""

    def test_streams_of_one_shard_are_independent(self, store: DataStore) -> None:
        data = random.Random(1).randbytes(100_000)
        url = put(store, "a.tar", data)
        with store.open(url) as one, store.open(url, 10) as two:
            assert one.read(5) == data[:5]
            assert two.read(5) == data[10:15]
        with store.open(url) as three:
            assert three.read(5) == data[:5]

    @pytest.mark.parametrize("position", [0, 3, 10])
    def test_a_file_is_put_whole_wherever_it_stands(self, store: DataStore, position: int) -> None:
        with store.spool() as file:
            file.write(b"0123456789")
            file.seek(position)
            url = store.put("a.tar", file)
        assert read(store, url) == b"0123456789"

    def test_a_spooled_file_that_is_not_put_is_not_listed(self, store: DataStore) -> None:
        with store.spool() as file:
            file.write(b"data")
            assert list(store.list()) == []
        assert list(store.list()) == []

    def test_a_file_that_fails_midway_leaves_nothing(self, store: DataStore) -> None:
        store.delete(url := put(store, "a.tar", b"before"))
        with store.spool() as file:
            file.write(bytes(1 << 20))
            try:
                store.put("a.tar", interrupted(file, 1 << 19, _fail))
            except OSError:
                assert list(store.list()) == []
                with pytest.raises(ShardNotFoundError):
                    read(store, url)
                assert put(store, "a.tar", b"again") == url
            else:
                # It may have found a way around the reads that fail.
                assert read(store, url) == bytes(1 << 20)


def _fail() -> None:
    raise OSError("the spooled file cannot be read any further")
