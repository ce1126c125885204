"""Which process is at work, and whether it still runs, as far as that can be told from here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# Linux has numbers up to 2**22; a C int holds no more than this.
_PIDS = 2**31


def this_process() -> dict[str, Any] | None:
    """Describe this process as no other one ever is; None where the system does not tell.

    ``place`` is one boot of one machine, or of one container that numbers its own processes.
    """
    place, pid = _place(), os.getpid()
    state = _state(pid)
    return None if place is None or state is None else {"place": place, "pid": pid, "start": state}


def check_process(process: Any) -> None:
    """Raise ValueError unless this is how a process describes itself, or None."""
    if process is None:
        return
    if not isinstance(process, Mapping):
        raise ValueError("its process is not an object")  # noqa: TRY004 -- it came from a record
    pid = process.get("pid")
    texts = [process.get("place"), process.get("start")]
    if type(pid) is not int or not 0 < pid < _PIDS or not all(isinstance(t, str) for t in texts):
        raise ValueError("its process has no place, number and start")


def is_running(process: Mapping[str, Any] | None) -> bool | None:
    """Tell whether a process, which `check_process` has passed, still runs; None if elsewhere."""
    place = _place()
    if process is None or place is None or process.get("place") != place:
        return None
    pid = process["pid"]
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
