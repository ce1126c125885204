"""A lock that survives a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet


class ForkLock:
    """A lock that no forked child finds held by a thread it does not have.

    A fork waits for the lock, runs ``before_fork`` under it, and finds it free again on both
    sides. So what the lock guards is never copied half changed, and connections can be closed
    rather than shared: SQLite forbids even closing an inherited one.
    """

    def __init__(self, before_fork: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._before_fork = before_fork
        with _registering:
            _live.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def prepare_fork(self) -> None:
        """Bring what the lock guards, which the caller holds, into a state fit for a copy."""
        if self._before_fork is not None:
            self._before_fork()


_live: WeakSet[ForkLock] = WeakSet()
_held: list[ForkLock] = []
# Two threads that fork at once must not each take half of the locks.
_registering = threading.Lock()


def _hold_all() -> None:
    _registering.acquire()
    for lock in list(_live):
        lock.__enter__()
        _held.append(lock)
        lock.prepare_fork()


def _release_all() -> None:
    for lock in _held:
        lock.__exit__()
    _held.clear()
    _registering.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)
