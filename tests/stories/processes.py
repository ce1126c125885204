"""Colleagues: fresh processes, forked from a server that has imported everything already."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tests.fresh import FRESH

_PATIENCE = 120.0


def in_process(act: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns in a fresh process."""
    return everywhere(1, act, *args)[0]


def everywhere(
    count: int, act: Callable[..., Any], *args: Any, processes: bool = True
) -> list[Any]:
    """Return what a function returns in several processes or threads that start together."""
    return _in_processes(count, act, args) if processes else _in_threads(count, act, args)


@contextmanager
def at_work(act: Callable[..., Any], *args: Any) -> Iterator[BaseProcess]:
    """Let a fresh process begin a function; it is killed at the end of the block."""
    ear, mouth = FRESH.Pipe(duplex=False)
    process = FRESH.Process(target=_begin, args=(mouth, os.environ["ATDATA_HOME"], act, args))
    process.start()
    mouth.close()
    try:
        with ear:
            assert ear.poll(_PATIENCE), "a process did not start"
        yield process
    finally:
        process.kill()
        process.join()


def _begin(mouth: Connection, home: str, act: Callable[..., Any], args: tuple[Any, ...]) -> None:
    os.environ["ATDATA_HOME"] = home
    mouth.send("begun")
    mouth.close()
    act(*args)


def _in_processes(count: int, act: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    barrier = FRESH.Barrier(count)
    home = os.environ["ATDATA_HOME"]
    with ExitStack() as stack:
        ears = []
        for _ in range(count):
            ear, mouth = FRESH.Pipe(duplex=False)
            process = FRESH.Process(target=_report, args=(mouth, home, barrier, act, args))
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            mouth.close()
            ears.append(stack.enter_context(ear))
        return [_hear(ear) for ear in ears]


def _hear(ear: Connection) -> Any:
    assert ear.poll(_PATIENCE), "a process was silent for too long"
    succeeded, told = ear.recv()
    assert succeeded, f"a process failed:\n{told}"
    return told


def _report(
    mouth: Connection, home: str, barrier: Any, act: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    os.environ["ATDATA_HOME"] = home
    try:
        barrier.wait(_PATIENCE)
        told = True, act(*args)
    except BaseException:  # noqa: BLE001 -- whatever it is, the test shows it
        told = False, traceback.format_exc()
    mouth.send(told)
    mouth.close()


def _in_threads(count: int, act: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    barrier = threading.Barrier(count)
    told: list[Any] = []

    def run() -> None:
        # Other tests may fork while this one ends.
        sys.settrace(None)
        barrier.wait(_PATIENCE)
        told.append(act(*args))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == count
    return told
