"""Work is shared with a second thread, all of it is done, and what goes wrong there is raised."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial

import pytest

from atdata.shards.parallel import in_two_threads, meanwhile
from atdata.shards.window import aligned

LARGE = 1 << 30


def _names(items: Sequence[int], size: int) -> dict[int, str]:
    names: dict[int, str] = {}

    def work(some: Iterable[int]) -> None:
        names.update(dict.fromkeys(some, threading.current_thread().name))

    in_two_threads(work, items, size)
    return names


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_everything_is_done_once(count: int) -> None:
    """Also where the other thread wakes too late, as it sometimes does where there is little."""
    for _ in range(1000):
        done: list[int] = []
        in_two_threads(done.extend, range(count), LARGE)
        assert sorted(done) == list(range(count))


def test_either_thread_does_what_the_other_does_not_get_to() -> None:
    """The thread that takes the first item only goes on when all others are done."""
    left = threading.Semaphore(0)
    done: list[int] = []

    def work(some: Iterable[int]) -> None:
        for item in some:
            if item == 0:
                assert all(left.acquire(timeout=30) for _ in range(9))
            else:
                left.release()
            done.append(item)

    in_two_threads(work, range(10), LARGE)
    assert done == [*range(1, 10), 0]


def test_what_is_not_large_is_done_here() -> None:
    assert set(_names(range(8), 1000).values()) == {threading.current_thread().name}


@pytest.mark.parametrize("bad", [0, 7])
def test_an_error_in_either_thread_is_raised_and_the_next_work_is_done(bad: int) -> None:
    def work(some: Iterable[int]) -> None:
        for item in some:
            # Neither thread does everything.
            time.sleep(0.01)
            if item == bad:
                raise ValueError(f"{bad} is bad")

    with pytest.raises(ValueError, match=f"{bad} is bad"):
        in_two_threads(work, range(8), LARGE)
    assert _names(range(8), LARGE).keys() == set(range(8))


def test_work_begun_within_work_is_done_where_it_is() -> None:
    """The other thread is taken then, and may itself be who asks."""
    done: list[int] = []

    def outer(some: Iterable[int]) -> None:
        for item in some:
            in_two_threads(done.extend, range(item, item + 4), LARGE)

    in_two_threads(outer, range(0, 40, 4), LARGE)
    assert sorted(done) == list(range(40))


@pytest.mark.parametrize("size", [0, LARGE])
def test_what_is_done_meanwhile_is_done_when_it_has_been_waited_for(size: int) -> None:
    for number in range(1000):
        done: list[int] = []
        wait = meanwhile(partial(done.append, number), size)
        wait()
        assert done == [number]
        wait()


def test_an_error_of_what_is_done_meanwhile_is_raised_by_who_waits() -> None:
    wait = meanwhile(lambda: 1 // 0, LARGE)
    with pytest.raises(ZeroDivisionError):
        wait()
    assert sorted(_names(range(8), LARGE)) == list(range(8))


def test_many_threads_may_ask_at_once() -> None:
    results: list[int] = []

    def ask() -> None:
        results.extend(len(_names(range(9), LARGE)) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert results == [9] * 800


@pytest.mark.parametrize("size", [1, 511, 1 << 20])
def test_a_buffer_begins_at_a_multiple_of_64(size: int) -> None:
    buffer = aligned(size)
    assert buffer.size == size
    assert buffer.__array_interface__["data"][0] % 64 == 0
