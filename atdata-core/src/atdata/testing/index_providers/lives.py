"""The life of a handle: opened again, closed, forked, pickled, and its process killed."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from atdata.errors import StorageError
from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata.testing.children import child, elsewhere, in_fork
from atdata.testing.index_processes import (
    ROUND_KEYS,
    open_put_and_list,
    opened,
    put_and_list,
    write_rounds,
)
from atdata.testing.index_providers.handles import ONE, TWO, A, B, OpenStore, ProviderKit, names
from atdata.testing.kit import needs

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class LifeTests(ProviderKit):
    """The life of a handle: opened again, closed, forked, pickled, and its process killed."""

    def test_a_closed_store_says_so_and_closes_again(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        store.close()
        store.close()
        for use in (
            lambda: store.get(A),
            lambda: store.scan("kind"),
            lambda: store.commit([Put(A, ONE)]),
            lambda: store.commit([]),
        ):
            with pytest.raises(StorageError, match="closed"):
                use()

    def test_a_store_that_was_never_used_closes(self, store: IndexProvider) -> None:
        store.close()
        with pytest.raises(StorageError, match="closed"):
            store.get(A)

    def test_closing_under_the_hands_of_threads_is_only_a_storage_error(
        self, store: IndexProvider
    ) -> None:
        started = threading.Barrier(5)

        def use(thread: int) -> None:
            key = Key("kind", f"{thread}", "")
            started.wait()
            while True:
                store.commit([Put(key, ONE)])
                store.get(key)
                store.scan("kind")

        with ThreadPoolExecutor(4) as threads:
            using = [threads.submit(use, thread) for thread in range(4)]
            started.wait()
            store.close()
            errors = [one.exception() for one in using]
        assert [type(error) for error in errors] == [StorageError] * 4

    @needs("is_shared")
    def test_a_second_handle_sees_at_once_what_the_first_committed(
        self, open_store: OpenStore
    ) -> None:
        left, right = open_store(), open_store()
        assert right.scan("kind") == []
        left.commit([Put(A, ONE)])
        assert json.loads(right.get(A)) == {"n": 1}
        right.commit([Put(A, TWO, expect=ONE), Put(B, ONE)])
        assert json.loads(left.get(A)) == {"n": 2}
        assert names(left) == ["a", "b"]

    @needs("is_shared")
    def test_what_was_committed_is_there_when_it_is_opened_again(
        self, options: dict[str, Any]
    ) -> None:
        keys = [Key("kind", f"{number}", "é🦆") for number in range(9)]
        with opened(options) as store:
            store.commit(Put(key, json.dumps({"at": key}).encode()) for key in keys)
        with opened(options) as store:
            found = store.scan("kind")
            assert [key for key, _ in found] == keys
            assert all(json.loads(body)["at"] == list(key) for key, body in found)

    @needs("is_shared")
    def test_closing_one_handle_leaves_the_others_open(self, open_store: OpenStore) -> None:
        left, right = open_store(), open_store()
        left.commit([Put(A, ONE)])
        left.close()
        right.commit([Put(A, TWO, expect=ONE)])
        assert json.loads(right.get(A)) == {"n": 2}

    @needs("is_shared")
    def test_a_fresh_process_shares_the_place(
        self, store: IndexProvider, options: dict[str, Any]
    ) -> None:
        store.commit([Put(A, ONE)])
        assert elsewhere(open_put_and_list, options, B) == [A, B]
        assert names(store) == ["a", "b"]

    def test_f2_a_handle_is_pickled_as_one_that_works_or_says_that_it_is_not(
        self, store: IndexProvider
    ) -> None:
        store.commit([Put(A, ONE)])
        pickled = _pickled(store)
        if pickled is None:
            return
        with closing(pickle.loads(pickled)) as copy:  # noqa: S301 -- just pickled
            assert json.loads(copy.get(A)) == {"n": 1}
            copy.commit([Put(B, ONE, ABSENT)])
        assert names(store) == ["a", "b"]

    @needs("is_shared")
    def test_f2_a_handle_that_is_pickled_works_in_another_process(
        self, store: IndexProvider
    ) -> None:
        store.commit([Put(A, ONE)])
        if _pickled(store) is not None:
            assert elsewhere(put_and_list, store, B) == [A, B]
            assert names(store) == ["a", "b"]

    @needs_fork
    def test_f3_children_and_parent_go_on_after_a_fork(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])

        def use(process: str) -> bool:
            # Coverage's own lock, were this thread to hold it, would not survive the fork.
            sys.settrace(None)
            for number in range(9):
                store.commit([Put(Key("f", process, f"{number}"), ONE, ABSENT)])
            return store.get(A) == store.scan("kind")[0][1] and len(store.scan("f", process)) == 9

        # Forks of the main thread only: they set the filters of warnings aside.
        with ThreadPoolExecutor(1) as threads:
            parent = threads.submit(use, "parent")
            children = [in_fork(partial(use, f"child {number}")) for number in range(4)]
            assert children == [True] * 4
            assert parent.result()
        assert len(store.scan("f")) == (45 if self.is_shared else 9)

    @needs_fork
    def test_f3_a_child_that_closes_its_handle_leaves_that_of_its_parent(
        self, store: IndexProvider
    ) -> None:
        store.commit([Put(A, ONE)])

        def close() -> bool:
            store.close()
            with pytest.raises(StorageError, match="closed"):
                store.get(A)
            return True

        assert in_fork(close)
        store.commit([Put(A, TWO, expect=ONE)])
        assert json.loads(store.get(A)) == {"n": 2}

    @needs_fork
    def test_f4_a_fork_while_threads_write_leaves_a_child_that_can_go_on(
        self, store: IndexProvider
    ) -> None:
        stop = threading.Event()

        def write(thread: int) -> None:
            # Coverage's own lock, were this thread to hold it, would not survive the fork.
            sys.settrace(None)
            while not stop.is_set():
                store.commit([Put(Key("k", f"{thread}", ""), ONE)])

        def use(number: int) -> bool:
            key = Key("child", f"{number}", "")
            store.commit([Put(key, ONE, ABSENT)])
            return bool(store.get(key))

        with ThreadPoolExecutor(2) as threads:
            writing = [threads.submit(write, thread) for thread in range(2)]
            try:
                succeeded = all(in_fork(partial(use, n)) for n in range(10))
            finally:
                stop.set()
            for thread in writing:
                thread.result()
        assert succeeded
        store.commit([Put(A, ONE)])

    @needs("is_shared")
    def test_w3_a_killed_writer_leaves_whole_commits_only(self, options: dict[str, Any]) -> None:
        for pause in (0.0, 0.02):
            with child(write_rounds, options) as writer:
                told = writer.hear()
                time.sleep(pause)
                writer.kill()
            with opened(options) as store:
                found = store.scan("rounds")
            assert [key for key, _ in found] == ROUND_KEYS
            numbers = {json.loads(body)["n"] for _, body in found}
            assert len(numbers) == 1
            assert numbers.pop() >= told


def _pickled(store: IndexProvider) -> bytes | None:
    """Pickle a handle; None if it says in words of its own that it cannot be."""
    try:
        return pickle.dumps(store)
    except TypeError as error:
        message = str(error)
        assert not re.match("cannot pickle '", message), "the TypeError names no remedy"
        return None
