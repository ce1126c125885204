"""What launchers of servers share: a free port, and an end that comes with the tests' own."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
from collections.abc import Callable

_SET_DEATH_SIGNAL = 1


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def make_die_with_parent(by: signal.Signals) -> Callable[[], None]:
    """Make what a child calls between fork and exec, where nothing may be imported any more."""
    if sys.platform != "linux":
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(_SET_DEATH_SIGNAL, by)


die_with_parent = make_die_with_parent(signal.SIGKILL)
