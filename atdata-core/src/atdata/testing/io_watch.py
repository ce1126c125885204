"""What the interpreter is asked to read, list or connect to meanwhile."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "glob.glob", "subprocess.Popen", "os.posix_spawn"),
        *("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"),
    }
)
_watching = threading.local()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what this thread does in the block, as names of audit events."""
    _watch_process()
    events: list[str] = []
    _watching.events = events
    try:
        yield events
    finally:
        del _watching.events


def _note(event: str, args: tuple[object, ...]) -> None:
    if event in _EVENTS and hasattr(_watching, "events"):
        _watching.events.append(f"{event} {args[0]!r:.200}")


@functools.cache
def _watch_process() -> None:
    # An audit hook stays for as long as the process, so there is only ever one.
    sys.addaudithook(_note)
