"""What the interpreter was asked to do meanwhile: imports, files, code, pickles."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# An audit hook stays for as long as the process: one hook, which mostly has nobody to tell.
_listeners: list[list[str]] = []


def _hook(event: str, _args: object) -> None:
    for events in _listeners:
        events.append(event)


sys.addaudithook(_hook)

CODE = frozenset(
    {"import", "exec", "compile", "open", "os.system", "subprocess.Popen", "pickle.find_class"}
)


@contextmanager
def audited() -> Iterator[list[str]]:
    """Collect the names of audit events."""
    events: list[str] = []
    _listeners.append(events)
    try:
        yield events
    finally:
        _listeners.remove(events)
