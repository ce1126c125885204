"""Lance once more, with arrays that are the caller's own and may be written to, as others give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.systems.lance import Lance
from benchmarks.systems.system import Reader
from benchmarks.workloads import Workload


class LanceOwned(Lance):
    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        items, fields = super().ordered(folder.parent / "Lance", workload, batch)

        def own(rows: Any) -> tuple[Any, ...]:
            columns = zip(workload.fields, fields(rows), strict=True)
            return tuple(column.copy() if field.dtype else column for field, column in columns)

        return Reader(items, own)


SYSTEM = LanceOwned()
