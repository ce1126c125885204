"""litdata: chunks written by its ``Cache``, as ``optimize`` does in each worker."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Any

from litdata import StreamingDataLoader, StreamingDataset
from litdata.streaming import Cache

from benchmarks.systems.collation import collation
from benchmarks.systems.system import Reader, System
from benchmarks.workloads import Values, Workload


class LitData(System):
    def write(self, folder: Path, workload: Workload, samples: list[Values]) -> None:
        cache = Cache(str(folder), chunk_size=workload.per_shard)
        for number, sample in enumerate(samples):
            cache[number] = sample
        cache.done()
        cache.merge()

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        return _reader(StreamingDataset(str(folder)), workload, batch)

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        return _reader(StreamingDataset(str(folder), shuffle=True), workload, batch)


def _reader(samples: Any, workload: Workload, batch: int | None) -> Reader:
    if batch is not None:
        collate = collation(workload)
        samples = StreamingDataLoader(samples, batch_size=batch, num_workers=0, collate_fn=collate)
    return Reader(samples, itemgetter(*workload.names))


SYSTEM = LitData()
