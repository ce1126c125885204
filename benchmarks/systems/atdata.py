"""atdata itself: typed samples in plain tar shards."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Any

import webdataset  # noqa: F401 -- iterating needs it, and imports are no part of reading
from numpy.typing import NDArray

import atdata
from atdata.stores import Cut
from benchmarks.systems.system import BUFFER, Reader, System
from benchmarks.workloads import Values, Workload


@atdata.packable
class Vector:
    array: NDArray[Any]
    label: int


@atdata.packable
class Image:
    image: NDArray[Any]
    label: str
    weight: float


@atdata.packable
class Text:
    text: str
    label: int


TYPES: dict[str, type[Any]] = {"a": Vector, "b": Image, "c": Text, "d": Vector}


class Atdata(System):
    def prepare(self, folder: Path, workload: Workload, samples: Iterable[Values]) -> list[Any]:
        return [TYPES[workload.name](**sample) for sample in samples]

    def write(self, folder: Path, workload: Workload, samples: Iterable[Any]) -> None:
        store = atdata.LocalDiskStore(folder)
        store.write_samples(samples, prefix="data", cut=Cut(maxcount=workload.per_shard))

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        dataset = self._open(folder, workload)
        items = dataset.ordered() if batch is None else dataset.ordered(batch)
        return Reader(items, self._fields(workload, batch))

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        dataset = self._open(folder, workload)
        items: Any = dataset.shuffled(buffer_samples=BUFFER, batch_size=batch)
        return Reader(items, self._fields(workload, batch))

    def shards(self, folder: Path) -> list[str]:
        """Return the shards in a folder, in order."""
        return sorted(map(str, folder.rglob("*.tar")))

    def _open(self, folder: Path, workload: Workload) -> atdata.Dataset[Any]:
        return atdata.Dataset[Any](self.shards(folder), sample_type=TYPES[workload.name])

    def _fields(self, workload: Workload, batch: int | None) -> Any:
        fields = attrgetter(*workload.names)
        if batch is None or all(field.shape for field in workload.fields if field.dtype):
            return fields
        # Arrays of different shapes cannot be stacked; the batch still has its samples.
        return lambda items: tuple(zip(*map(fields, items.samples), strict=True))


SYSTEM = Atdata()
