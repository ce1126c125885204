"""The figures of one run: rows that processes hand over as JSON, and medians over rounds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Row:
    """One measure of one system: seconds and CPU seconds for so many samples, peak memory in KiB.

    ``base`` is the memory in use before anything was opened, ``size`` the bytes written. A row with
    an error has no figures.
    """

    system: str
    workload: str
    measure: str
    count: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    base: int = 0
    size: int = 0
    error: str | None = None

    @property
    def each(self) -> float:
        """Seconds a sample."""
        return self.seconds / self.count

    @property
    def cpu_each(self) -> float:
        """CPU seconds a sample."""
        return self.cpu / self.count


class Rows:
    """All rows, found by system, workload and measure; rates go by the clock or by CPU time."""

    def __init__(self, rows: Iterable[Row], *, by_cpu: bool = False) -> None:
        self._rows = list(rows)
        self._figure = "cpu_each" if by_cpu else "each"

    def median(self, system: str, workload: str, measure: str, figure: str) -> float | None:
        """Return the median of a figure over the rounds, None where there is none."""
        rows = self._of(system, workload, measure)
        if not rows or any(row.error for row in rows):
            return None
        return median(float(getattr(row, figure)) for row in rows)

    def rate(self, system: str, workload: str, measure: str) -> float | None:
        """Return samples a second, None where there are none."""
        each = self.median(system, workload, measure, self._figure)
        return 1 / each if each else None

    def error(self, system: str, workload: str, measure: str) -> str | None:
        """Return what went wrong, if anything did."""
        return next((row.error for row in self._of(system, workload, measure) if row.error), None)

    def _of(self, system: str, workload: str, measure: str) -> list[Row]:
        key = (system, workload, measure)
        return [row for row in self._rows if (row.system, row.workload, row.measure) == key]


def dump(rows: Iterable[Row], path: Path) -> None:
    """Write rows as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows]))


def load(path: Path) -> list[Row]:
    """Read rows from JSON."""
    return [Row(**values) for values in json.loads(path.read_text())]
