"""A gate that many threads pass at once, and that is empty whenever the process forks."""

from __future__ import annotations

import threading
from typing import Final

from atdata.forks import ForkLock

# No fork waits longer for commands that are under way than they can take.
_LONGEST_WAIT: Final = 30.0


class ForkGate:
    """Keeps a fork waiting until no thread is inside, so that none can hold a lock in the child.

    Client libraries guard their connections with locks of their own, which a child would find held
    for ever by a thread that it does not have.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._changed = threading.Condition()
        self._door = ForkLock(self._wait_until_empty)

    def __enter__(self) -> None:
        with self._door, self._changed:
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def _wait_until_empty(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inside == 0, _LONGEST_WAIT)
