"""MosaicML streaming: MDS shards, read in order by ``LocalDataset``."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from benchmarks.systems.collation import collation
from benchmarks.systems.system import Again, Reader, System
from benchmarks.workloads import Field, Values, Workload


def _skip_examples() -> None:
    """Put the package in place without running it: it imports torchvision for its examples."""
    spec = PathFinder.find_spec("streaming")
    if spec is None:
        raise ModuleNotFoundError("mosaicml-streaming is not installed", name="streaming")
    sys.modules["streaming"] = module_from_spec(spec)


_skip_examples()

from streaming.base import (  # noqa: E402 -- only now can it be imported
    LocalDataset,
    MDSWriter,
    StreamingDataLoader,
    StreamingDataset,
)


class MosaicML(System):
    def write(self, folder: Path, workload: Workload, samples: list[Values]) -> None:
        columns = {field.name: _encoding(field) for field in workload.fields}
        with MDSWriter(out=str(folder), columns=columns) as writer:
            for sample in samples:
                writer.write(sample)

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        # Twice as fast here as StreamingDataset, which is made for shards that are elsewhere.
        samples: Any = LocalDataset(str(folder))
        fields = itemgetter(*workload.names)
        if batch is None:
            return Reader(Again(lambda: map(samples.__getitem__, range(len(samples)))), fields)
        collate = collation(workload)
        return Reader(DataLoader(samples, batch_size=batch, collate_fn=collate), fields)

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        samples: Any = StreamingDataset(
            local=str(folder),
            shuffle=True,
            batch_size=batch or 1,
            # With less of it, waiting for its own threads makes it up to twenty times slower.
            predownload=workload.count,
        )
        if batch is not None:
            collate = collation(workload)
            samples = StreamingDataLoader(samples, batch_size=batch, collate_fn=collate)
        return Reader(samples, itemgetter(*workload.names))


def _encoding(field: Field) -> str:
    if field.kind is np.ndarray:
        shape = ":" + ",".join(map(str, field.shape)) if field.shape else ""
        return f"ndarray:{field.dtype}{shape}"
    return {int: "int", str: "str", float: "float64"}[field.kind]


SYSTEM = MosaicML()
