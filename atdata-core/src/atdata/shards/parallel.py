"""Reading large values in two threads, and hashing beside writing: one alone is not enough."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import TypeVar

T = TypeVar("T")

# From here on the time saved is more than what it takes to wake another thread.
_WORTHWHILE = 1 << 20


def in_two_threads(work: Callable[[Iterable[T]], object], items: Sequence[T], size: int) -> None:
    """Do work for all items, with the help of another thread if it is about many bytes.

    Either thread takes the next item when it is done with one: so neither waits for the other, and
    what one of them is late the other makes up for. All is done when this returns or raises, unless
    what it raises came from outside, as Ctrl-C does.
    """
    shared = iter(items)
    wait = meanwhile(partial(work, shared), size if len(items) > 1 else 0)
    try:
        work(shared)
    except BaseException:
        # Nobody goes on with what is left, and of two errors the first is enough.
        deque(shared, maxlen=0)
        with suppress(Exception):
            wait()
        raise
    wait()


def meanwhile(act: Callable[[], object], size: int) -> Callable[[], None]:
    """Have something done in another thread if it is about many bytes, else at once.

    Returns what waits until it is done and raises what it raised. A process has one such thread;
    while it works for somebody else, or where there is but one core to run on, all is done here.
    """
    # Of a process that is ending, other threads stand still.
    helper = _helper() if size >= _WORTHWHILE and not sys.is_finalizing() else None
    if helper is None or not helper.is_free.acquire(blocking=False):
        act()
        return _nothing
    return helper.begin(act)


def _nothing() -> None:
    pass


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

    def begin(self, act: Callable[[], object]) -> Callable[[], None]:
        """Have something done; the caller has acquired ``is_free``, which is released after it."""
        task = self._task = _Task(act)
        self._is_wanted.release()
        return partial(self._wait, task)

    def _wait(self, task: _Task) -> None:
        if self._is_wanted.acquire(blocking=False):
            self._take_back(task)
        with task.is_done:
            if task.error is not None:
                raise task.error

    def _take_back(self, task: _Task) -> None:
        """Do a task here that has not been begun; it may be somebody else's by now."""
        if self._task is not task:
            self._is_wanted.release()
            return
        self._task = None
        self.is_free.release()
        task.run()
        task.is_done.release()

    def _serve(self) -> None:
        while True:
            self._is_wanted.acquire()
            task, self._task = self._task, None
            assert task is not None  # noqa: S101 -- it is set before the lock is released
            task.run()
            self.is_free.release()
            task.is_done.release()
            del task


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


@lru_cache(maxsize=1)
def _helper() -> _Helper | None:
    # Not every system says on which cores a process may run.
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    try:
        return _Helper() if cores > 1 else None
    except RuntimeError:
        # The process is ending, and no more threads are begun.
        return None


if hasattr(os, "register_at_fork"):
    # A forked process has only the thread that forked.
    os.register_at_fork(after_in_child=_helper.cache_clear)
