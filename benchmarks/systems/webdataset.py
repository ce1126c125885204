"""webdataset: one msgpack member a sample, its arrays as ``np.save`` writes them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import webdataset as wds

from benchmarks.systems.system import BUFFER, Reader, System
from benchmarks.workloads import Field, Values, Workload


class WebDataset(System):
    def write(self, folder: Path, workload: Workload, samples: list[Values]) -> None:
        for start in range(0, len(samples), workload.per_shard):
            with wds.TarWriter(str(folder / f"{start:09d}.tar")) as writer:
                for number, sample in enumerate(samples[start : start + workload.per_shard], start):
                    packed = {name: _pack(value) for name, value in sample.items()}
                    writer.write({"__key__": f"{number:09d}", "msgpack": packed})

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        shards = wds.WebDataset(_shards(folder), shardshuffle=False)
        return _reader(shards, workload, batch)

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        shards = wds.WebDataset(_shards(folder), shardshuffle=100).shuffle(BUFFER)
        return _reader(shards, workload, batch)


def _reader(shards: Any, workload: Workload, batch: int | None) -> Reader:
    samples = shards.map(_unpack(workload))
    if batch is None:
        return Reader(samples, tuple)
    if all(field.shape for field in workload.fields if field.dtype):
        return Reader(samples.batched(batch), tuple)
    return Reader(samples.batched(batch, collation_fn=_as_columns), tuple)


def _as_columns(samples: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(zip(*samples, strict=True))


def _shards(folder: Path) -> list[str]:
    return sorted(map(str, folder.glob("*.tar")))


def _pack(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def _unpack(workload: Workload) -> Callable[[Values], tuple[Any, ...]]:
    def unpack(sample: Values) -> tuple[Any, ...]:
        values = msgpack.unpackb(sample["msgpack"])
        return tuple(_value(field, values[field.name]) for field in workload.fields)

    return unpack


def _value(field: Field, value: Any) -> Any:
    return np.load(io.BytesIO(value)) if field.dtype else value


SYSTEM = WebDataset()
