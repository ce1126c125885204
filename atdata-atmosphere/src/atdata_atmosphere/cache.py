"""A memory for answers that were long in coming: bounded, and forgotten after a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """Keeps the newest ``most`` values, each for some seconds; threads share it."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        """Return a value that is still kept, or None."""
        with self._lock:
            until, value = self._kept.get(key, (0.0, None))
            return value if time.monotonic() < until else None

    def put(self, key: str, value: T) -> None:
        """Keep a value from now on, in place of the oldest if need be."""
        with self._lock:
            self._kept[key] = (time.monotonic() + self._seconds, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
