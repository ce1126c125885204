"""The most memory this process has held, where the system tells."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")


def forget_peak() -> None:
    """Begin anew, where that is possible."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> int:
    # What getrusage tells of a child begins with the memory of its parent.
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if "VmHWM" in line)
        return int(line.split()[1]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def without_coverage() -> dict[str, str]:
    """Return the environment of a child process whose time, memory or modules a test looks at."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
