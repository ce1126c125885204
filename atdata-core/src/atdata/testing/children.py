"""Other processes for the kits: started fresh, talked to, and killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_PATIENCE = 180.0
# Forked from a server that tests can let import what theirs need: an interpreter of its own takes
# a second to be there. Some systems have no such server.
_HAS_SERVER = "forkserver" in multiprocessing.get_all_start_methods()
_fresh: Any = multiprocessing.get_context("forkserver" if _HAS_SERVER else "spawn")

Tell = Callable[[Any], None]


@dataclass(frozen=True)
class Child:
    """A process that runs a function, which tells its parent things."""

    process: BaseProcess
    connection: Connection

    def hear(self) -> Any:
        """Wait for what the child tells next; AssertionError if it failed, ended or hangs."""
        if not self.connection.poll(_PATIENCE):
            raise AssertionError(f"a process was silent for {_PATIENCE:.0f} seconds")
        try:
            succeeded, told = self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise AssertionError(f"a process ended with exit code {code}") from None
        if not succeeded:
            raise AssertionError(f"a process failed:\n{told}")
        return told

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.join()


@contextmanager
def child(function: Callable[..., None], *args: Any) -> Iterator[Child]:
    """Run ``function(tell, *args)`` in a fresh process for as long as the block runs."""
    ours, theirs = _fresh.Pipe(duplex=False)
    environment = dict(os.environ)
    process = _fresh.Process(target=_report, args=(theirs, environment, function, args))
    process.start()
    theirs.close()
    one = Child(process, ours)
    try:
        yield one
    finally:
        one.kill()
        process.close()
        ours.close()


def elsewhere(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with child(_tell_result, function, args) as one:
        return one.hear()


def everywhere(count: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """Return what a function returns in several processes that call it at the same moment."""
    barrier = _fresh.Barrier(count)
    with ExitStack() as stack:
        call = (_tell_result, _after_barrier, (barrier, function, args))
        children = [stack.enter_context(child(*call)) for _ in range(count)]
        return [one.hear() for one in children]


def in_fork(function: Callable[[], bool]) -> bool:
    """Fork, and return whether the function returned true in the child."""
    with warnings.catch_warnings():
        # Some SDKs keep threads, of which newer Pythons warn at a fork; that must work, too.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        # A child that waits for a lock of a thread it does not have must end as well.
        signal.alarm(int(_PATIENCE))
        code = 1
        try:
            code = 0 if function() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _report(
    connection: Connection,
    environment: dict[str, str],
    function: Callable[..., None],
    args: tuple[Any, ...],
) -> None:
    # The server has that of the moment it was started.
    os.environ.clear()
    os.environ.update(environment)

    def tell(told: Any) -> None:
        connection.send((True, told))

    try:
        function(tell, *args)
    except BaseException:
        connection.send((False, traceback.format_exc()))
        raise


def _tell_result(tell: Tell, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    tell(function(*args))


def _after_barrier(barrier: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    barrier.wait(_PATIENCE)
    return function(*args)
