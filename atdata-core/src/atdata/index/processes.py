"""Which process is at work, and whether it still runs, as far as that can be told from here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def this_process() -> dict[str, Any] | None:
    """Describe this process as no other one ever is; None where the system does not tell.

    ``place`` is one boot of one machine, or of one container that numbers its own processes.
    """
    place, pid = _place(), os.getpid()
    state = _state(pid)
    return None if place is None or state is None else {"place": place, "pid": pid, "start": state}


def is_running(process: Mapping[str, Any] | None) -> bool | None:
    """Tell whether a process that described itself still runs; None if it was in another place."""
    place = _place()
    if process is None or place is None or process.get("place") != place:
        return None
    pid = int(process["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's; whether it is the same one, only its start can tell.
        pass
    state = _state(pid)
    # What is hidden from us runs, for all we know.
    return state is None or state == process["start"]


def _place() -> str | None:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _state(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; "ended" if only its number is left."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is a name that may hold anything, in parentheses.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in b"ZX" else fields[19].decode()
