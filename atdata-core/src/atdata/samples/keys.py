"""Keys for samples that were not given one: unique across processes, sortable, without dots."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_key() -> str:
    """Return 28 hex digits: nanoseconds, then randomness.

    Keys made by one process sort in the order they were made; equal instants in two processes
    (or two forks of one) differ in 48 random bits.
    """
    global _last  # noqa: PLW0603 -- the process-wide clock that makes keys strictly increasing
    with _lock:
        _last = max(_last + 1, time.time_ns())
        instant = _last
    return f"{instant:016x}{os.urandom(6).hex()}"


# A fork while another thread holds the lock would otherwise leave the child locked for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_lock.release,
    )
