"""Locks on open files, which end with the process that holds them, however that ends."""

from __future__ import annotations

import os
import time

try:
    import fcntl
except ImportError:
    # Windows has msvcrt instead, and some systems neither.
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

# Windows lets nobody else read what is locked, so that is a byte after the end of all but the
# largest files; its offset fits 31 bits, which is all that some of its C libraries take.
_LOCKED_BYTE = 0x7FFF_FFFF
_WAIT_SECONDS = 0.05


def try_lock(file: int) -> bool | None:
    """Lock an open file until it is closed; False if another has, None where nobody can."""
    if fcntl is not None:
        return _try_flock(file)
    return None if msvcrt is None else _try_locking(file)


def lock(file: int) -> None:
    """Lock an open file until it is closed, and wait while another has; not everywhere possible."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    while try_lock(file) is False:
        time.sleep(_WAIT_SECONDS)


def _try_flock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_locking(file: int) -> bool:
    position = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except PermissionError:
        return False
    finally:
        os.lseek(file, position, os.SEEK_SET)
    return True
