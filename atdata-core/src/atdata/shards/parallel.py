"""Reading large values, writing and hashing in two threads: one alone does not use all there is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

# From here on half the time is more than what it takes to wake another thread.
_WORTHWHILE = 1 << 20


def in_two_threads(work: Callable[[Sequence[T]], object], items: Sequence[T], size: int) -> None:
    """Do work for all items: the second half in another thread, if it is about many bytes.

    A process has one such thread; while it works for somebody else, or where there is but one core
    to run on, everything is done here. All is done when this returns or raises.
    """
    half = len(items) // 2
    helper = _helper() if half and size >= _WORTHWHILE else None
    if helper is None or not helper.is_free.acquire(blocking=False):
        work(items)
        return
    try:
        other = helper.begin(work, items[half:])
        try:
            work(items[:half] if other is not None else items)
        finally:
            error = other.exception() if other is not None else None
    finally:
        helper.is_free.release()
    if error is not None:
        raise error


class _Helper:
    def __init__(self) -> None:
        # Slow to import, and many processes need none of it.
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(1, "atdata-helper")
        self.is_free = threading.Lock()

    def begin(
        self, work: Callable[[Sequence[T]], object], items: Sequence[T]
    ) -> Future[object] | None:
        try:
            return self._pool.submit(work, items)
        except RuntimeError:
            # The main thread has ended, and no others are begun.
            return None


@lru_cache(maxsize=1)
def _helper() -> _Helper | None:
    has_cores = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
    try:
        return _Helper() if has_cores else None
    except RuntimeError:
        # As above; then not even what makes threads can be imported.
        return None


if hasattr(os, "register_at_fork"):
    # A forked process has only the thread that forked.
    os.register_at_fork(after_in_child=_helper.cache_clear)
