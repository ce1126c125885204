"""Keys of samples: unique across processes, sorted within one, without dots."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import threading

import pytest

from atdata.samples.keys import new_key

PROCESSES, EACH = 4, 20_000


def many_keys(count: int) -> list[str]:
    return [new_key() for _ in range(count)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_k9_keys_of_several_processes_are_unique(method: str) -> None:
    with multiprocessing.get_context(method).Pool(PROCESSES) as pool:
        lists = pool.map(many_keys, [EACH] * PROCESSES, chunksize=1)
    assert len({key for keys in lists for key in keys}) == PROCESSES * EACH


def test_keys_sort_in_the_order_they_were_made() -> None:
    keys = many_keys(EACH)
    assert keys == sorted(keys)
    assert len({*keys}) == EACH


def test_keys_are_lower_case_hex_of_one_length() -> None:
    assert all(re.fullmatch("[0-9a-f]{28}", key) for key in many_keys(1000))


def test_keys_of_threads_are_unique() -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(many_keys(2000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*made}) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_amid_busy_threads_can_still_make_keys() -> None:
    stop = threading.Event()

    def busy() -> None:
        # Coverage's own lock, were this thread to hold it, would not survive the fork.
        sys.settrace(None)
        while not stop.is_set():
            new_key()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                new_key()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
