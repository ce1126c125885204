"""Reading large values, writing and hashing in two threads: one alone does not use all there is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

# From here on the time saved is more than what it takes to wake another thread.
_WORTHWHILE = 1 << 20


def in_two_threads(work: Callable[[Iterable[T]], object], items: Sequence[T], size: int) -> None:
    """Do work for all items, with the help of another thread if it is about many bytes.

    Either thread takes the next item when it is done with one: so neither waits for the other, and
    what one of them is late the other makes up for. A process has one such thread; while it works
    for somebody else, or where there is but one core to run on, everything is done here. All is
    done when this returns or raises, unless what it raises came from outside, as Ctrl-C does.
    """
    shared = iter(items)
    helper = _helper() if len(items) > 1 and size >= _WORTHWHILE else None
    if helper is None or not helper.is_free.acquire(blocking=False):
        work(shared)
        return
    other = helper.begin(lambda: work(shared))
    try:
        work(shared)
    finally:
        helper.end(other)
    if other.error is not None:
        raise other.error


class _Task:
    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self.error: BaseException | None = None
        self.is_done = threading.Lock()
        self.is_done.acquire()

    def run(self) -> None:
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 -- who waits for the task raises it
            self.error = error


class _Helper:
    """A thread that waits for one task after the other.

    Bare locks hand one over in a third of the time that an executor takes.
    """

    def __init__(self) -> None:
        self.is_free = threading.Lock()
        self._is_wanted = threading.Lock()
        self._is_wanted.acquire()
        self._task: _Task | None = None
        threading.Thread(target=self._serve, name="atdata-helper", daemon=True).start()

    def begin(self, act: Callable[[], object]) -> _Task:
        """Have something done; the caller has acquired ``is_free``, and calls ``end`` after it."""
        task = self._task = _Task(act)
        self._is_wanted.release()
        return task

    def end(self, task: _Task) -> None:
        """Wait until a task is done, or take it back if it has not been begun."""
        if self._is_wanted.acquire(blocking=False):
            self._task = None
            self.is_free.release()
        else:
            task.is_done.acquire()

    def _serve(self) -> None:
        while True:
            self._is_wanted.acquire()
            task, self._task = self._task, None
            assert task is not None  # noqa: S101 -- it is set before the lock is released
            task.run()
            self.is_free.release()
            task.is_done.release()
            del task


@lru_cache(maxsize=1)
def _helper() -> _Helper | None:
    has_cores = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
    try:
        return _Helper() if has_cores else None
    except RuntimeError:
        # The process is ending, and no more threads are begun.
        return None


if hasattr(os, "register_at_fork"):
    # A forked process has only the thread that forked.
    os.register_at_fork(after_in_child=_helper.cache_clear)
