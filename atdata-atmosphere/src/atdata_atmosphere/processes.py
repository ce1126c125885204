"""Things that a forked child must not share with its parent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something made when a process first asks for it, and closed when nobody can any more.

    A connection must not be used by two processes, and a child may find a lock held by a thread
    that it does not have.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._close = close
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """Return this process's own."""
        made = self._made
        if made is None or made[0] != os.getpid():
            thing = self._make()
            made = self._made = (os.getpid(), thing)
            if self._close is not None:
                weakref.finalize(self, _close_own, os.getpid(), thing, self._close)
        return made[1]

    def close(self) -> None:
        """Close this process's own, if it has one, and make another the next time."""
        made, self._made = self._made, None
        if made is not None and self._close is not None:
            _close_own(*made, self._close)


def _close_own(process: int, thing: T, close: Callable[[T], object]) -> None:
    # Closing what the parent made could say good-bye on its connections.
    if process == os.getpid():
        close(thing)
