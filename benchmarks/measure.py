"""Timing one thing in this process, with its CPU time and its peak memory."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

_ENOUGH = 0.5
_PASSES = 15
_RESET_PEAK = "5"


class Timing(NamedTuple):
    """Wall clock and CPU seconds, and the peak of memory in KiB."""

    seconds: float
    cpu: float
    peak: int


def timed(act: Callable[[], object]) -> Timing:
    """Do something once."""
    gc.collect()
    reset_peak()
    start, cpu = time.perf_counter(), time.process_time()
    act()
    return Timing(time.perf_counter() - start, time.process_time() - cpu, memory("VmHWM"))


def timed_often(
    act: Callable[[], object], center: Callable[[list[float]], float] = median
) -> Timing:
    """Do something until half a second has passed; what is quick is measured no worse for it."""
    passes: list[Timing] = []
    while not passes or (sum(p.seconds for p in passes) < _ENOUGH and len(passes) < _PASSES):
        passes.append(timed(act))
    return Timing(
        center([p.seconds for p in passes]),
        center([p.cpu for p in passes]),
        max(p.peak for p in passes),
    )


def memory(name: str) -> int:
    """Return a figure of this process in KiB, 0 where the system does not tell.

    ``ru_maxrss`` would not do: a process inherits it from the one that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def reset_peak() -> None:
    """Begin the peak anew; where that is not possible it is that of the process so far."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sync(folder: Path) -> None:
    """Wait until the files below a folder are on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
