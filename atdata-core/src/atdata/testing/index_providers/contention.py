"""Many writers at once: threads on one handle, on several, and processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from threading import Barrier
from typing import Any

from atdata.errors import ConflictError
from atdata.index import Index
from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata.testing.children import everywhere
from atdata.testing.index_processes import append, increment, opened, publish_and_insert
from atdata.testing.index_providers.handles import ONE, A, B, OpenStore, ProviderKit
from atdata.testing.kit import needs


class ContentionTests(ProviderKit):
    """Many writers at once: threads on one handle, on several, and processes."""

    def test_k6_sixteen_threads_share_one_store(self, store: IndexProvider) -> None:
        def work(thread: int) -> None:
            for number in range(10):
                key = Key("k", f"{thread}", f"{number:02d}")
                store.commit([Put(key, ONE, ABSENT)])
                store.get(key)
                store.scan("k", f"{thread}", reverse=True, limit=1)

        _at_once(16, work)
        assert len(store.scan("k")) == 160

    def test_k2_one_of_many_who_expect_the_same_wins(self, store: IndexProvider) -> None:
        for number in range(5):
            key = Key("k", f"{number}", "")
            winners = _at_once(8, partial(_try_to_put, store, key))
            assert sum(winners) == 1
            assert json.loads(store.get(key)) == {"writer": winners.index(True)}

    def test_k3_threads_that_append_versions_lose_none(self, store: IndexProvider) -> None:
        _at_once(8, lambda writer: append(store, f"{writer}", 10))
        _check_appended(store, 80)

    def test_threads_that_change_what_they_read_lose_nothing(self, store: IndexProvider) -> None:
        store.commit([Put(A, b'{"n":0}')])
        _at_once(4, lambda _: increment(store, A, 10))
        assert json.loads(store.get(A)) == {"n": 40}

    def test_writers_of_the_same_keys_in_any_order_do_not_block_each_other(
        self, store: IndexProvider
    ) -> None:
        def write(writer: int) -> None:
            ops = [Put(A, b'{"n":%d}' % writer), Put(B, b'{"n":%d}' % writer)]
            for _ in range(20):
                store.commit(ops if writer % 2 else ops[::-1])

        _at_once(4, write)
        assert store.get(A) == store.get(B)

    @needs("is_shared")
    def test_k3_threads_with_handles_of_their_own_lose_no_version(
        self, open_store: OpenStore
    ) -> None:
        stores = [open_store() for _ in range(4)]
        _at_once(4, lambda writer: append(stores[writer], f"{writer}", 10))
        _check_appended(stores[0], 40)

    @needs("is_shared")
    def test_k4_many_threads_open_a_fresh_place_at_once(self, options: dict[str, Any]) -> None:
        def open_and_put(thread: int) -> None:
            with closing(Index(**options).provider) as store:
                store.commit([Put(Key("k", f"{thread:02d}", ""), ONE, ABSENT)])

        _at_once(16, open_and_put)
        with opened(options) as store:
            assert len(store.scan("k")) == 16

    @needs("is_shared")
    def test_k1_k3_k4_processes_that_publish_and_insert_in_a_fresh_place_lose_nothing(
        self, options: dict[str, Any]
    ) -> None:
        done = everywhere(8, publish_and_insert, options)
        references = {reference for published, _ in done for reference in published}
        revisions = [revision for _, inserted in done for revision in inserted]
        assert len(references) == 80
        assert sorted(revisions) == list(range(1, 41))
        with Index(**options) as index:
            assert {record.ref for record in index.schemas} == references
            versions = {record.version for record in index.schemas}
            history = index.history("mine")
        assert versions == {f"1.0.{patch}" for patch in range(80)}
        assert [entry.revision for entry in history] == list(range(40, 0, -1))


def _at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what a function returns in threads that call it at the same moment."""
    barrier = Barrier(count)

    def start(thread: int) -> Any:
        barrier.wait()
        return work(thread)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(start, range(count)))


def _try_to_put(store: IndexProvider, key: Key, writer: int) -> bool:
    try:
        store.commit([Put(key, json.dumps({"writer": writer}).encode(), ABSENT)])
    except ConflictError:
        return False
    return True


def _check_appended(store: IndexProvider, total: int) -> None:
    rows = store.scan("k", "n")
    assert [int(key.version) for key, _ in rows] == list(range(1, total + 1))
    assert len({body for _, body in rows}) == total
