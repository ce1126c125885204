"""Other threads and processes, forks, copies, and processes that are killed."""

from __future__ import annotations

import os
import pickle
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atdata.dataset import Dataset
from atdata.errors import ShardNotFoundError
from atdata.stores import DataStore, shard_name
from atdata.testing import store_processes as processes
from atdata.testing.children import child, elsewhere
from atdata.testing.kit import needs
from atdata.testing.readings import Reading, readings
from atdata.testing.spooled import open_store, put, read, secrets_in
from atdata.testing.stores.handles import StoreKit


class LifeTests(StoreKit):
    """Other threads and processes, forks, copies, and processes that are killed."""

    def test_another_handle_finds_what_is_there(
        self, store: DataStore, options: dict[str, Any]
    ) -> None:
        url = put(store, "a.tar", b"data")
        another = open_store(options)
        assert list(another.list()) == [url]
        assert read(another, url) == b"data"
        another.delete(url)
        assert list(store.list()) == []

    def test_a_copy_of_it_works(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        copy = pickle.loads(pickle.dumps(store))  # noqa: S301 -- it was pickled right here
        assert read(copy, url) == b"data"
        assert put(copy, "b.tar", b"more") in list(store.list())

    @needs("is_shared")
    def test_a_copy_of_it_works_in_another_process(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        assert elsewhere(read, store, url) == b"data"
        assert elsewhere(put, store, "b.tar", b"more") in list(store.list())

    def test_threads_share_it(self, store: DataStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda n: processes.use(store, f"thread-{n}"), range(16)))
        assert list(store.list()) == []

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_forked_process_uses_it_as_well(self, options: dict[str, Any]) -> None:
        assert elsewhere(processes.use_on_both_sides_of_a_fork, options)

    def test_it_shows_no_secret(self, store: DataStore, options: dict[str, Any]) -> None:
        url = put(store, "a.tar", b"data")
        store.delete(url)
        with pytest.raises(ShardNotFoundError) as caught:
            store.open(url)
        shown = [repr(store), url, repr(store.create_source([url])), repr(caught.value.details)]
        for secret in secrets_in(options):
            assert not any(secret in text for text in [*shown, str(caught.value)])

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a peak anew")
    def test_a_large_shard_takes_little_memory(self, options: dict[str, Any]) -> None:
        written, got, grown = elsewhere(processes.carry, options, self.large_bytes)
        assert got == written
        assert grown <= self.large_memory

    @needs("is_shared")
    def test_a_writer_killed_midway_leaves_nothing_that_cannot_be_removed(
        self, store: DataStore, options: dict[str, Any]
    ) -> None:
        name, size = shard_name("mine", "t0ken", 0), self.large_bytes
        with child(processes.put_and_stall, options, name, size) as writer:
            heard = writer.hear()
            if heard == "midway":
                assert [*store.list(), *store.abandoned()] == []
            writer.kill()
        assert list(store.list()) == ([] if heard == "midway" else [*store.list("mine/data--")])
        for leftover in [*store.leftovers("mine", "t0ken"), *store.abandoned()]:
            store.remove(leftover)
            store.remove(leftover)
        assert [*store.leftovers("mine", "t0ken"), *store.abandoned(), *store.list()] == []
        assert read(store, put(store, name, b"again")) == b"again"

    def test_all_handles_on_it_have_one_identity(
        self, store: DataStore, options: dict[str, Any]
    ) -> None:
        put(store, "a.tar", b"data")
        identity = store.identify()
        assert identity == open_store(options).identify()
        assert identity == elsewhere(processes.identify, options)
        assert not any(secret in identity for secret in secrets_in(options))

    @needs("is_shared")
    def test_writers_killed_at_any_moment_leave_whole_shards_only(
        self, store: DataStore, options: dict[str, Any]
    ) -> None:
        moments = random.Random(1)
        for _ in range(self.kills):
            with child(processes.write_for_ever, options) as writer:
                writer.hear()
                time.sleep(moments.random() * 0.1)
                writer.kill()
        urls = list(store.list())
        assert urls
        for url in urls:
            samples = list(Dataset[Reading](store.create_source([url])))
            assert samples in (readings(7), readings(7, 7), readings(6, 14))
