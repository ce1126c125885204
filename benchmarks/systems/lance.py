"""Lance: fixed-size lists where shapes are equal, read in batches that share memory with Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa

from benchmarks.systems.system import Again, Reader, System
from benchmarks.workloads import Field, Values, Workload

_SEED = 1
_BYTES_A_BATCH = 16 << 20


class Lance(System):
    def write(self, folder: Path, workload: Workload, samples: list[Values]) -> None:
        sizes = [int(np.prod(field.shape or 256)) for field in workload.fields if field.dtype]
        rows = max(1, _BYTES_A_BATCH // max([1000, *sizes]))
        schema = pa.schema([(field.name, _type(field)) for field in workload.fields])
        batches = (
            pa.record_batch(_columns(workload, samples[start : start + rows]), schema=schema)
            for start in range(0, len(samples), rows)
        )
        lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches), str(folder / "l"))

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        samples = lance.dataset(str(folder / "l"))
        step = batch or workload.shuffled_batch
        return _reader(lambda: samples.to_batches(batch_size=step), workload, batch)

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        samples = lance.dataset(str(folder / "l"))
        step = batch or workload.shuffled_batch

        def take() -> Iterator[Any]:
            order = np.random.default_rng(_SEED).permutation(samples.count_rows())
            for start in range(0, len(order), step):
                yield samples.take(order[start : start + step])

        return _reader(take, workload, batch)


def _reader(start: Callable[[], Iterable[Any]], workload: Workload, batch: int | None) -> Reader:
    def fields(rows: Any) -> tuple[Any, ...]:
        return tuple(_to_numpy(field, rows[field.name]) for field in workload.fields)

    if batch is not None:
        return Reader(Again(lambda: iter(start())), fields)

    def samples() -> Iterator[tuple[Any, ...]]:
        # Lance delivers columns only, so that samples are made of them as anybody would.
        for rows in start():
            yield from zip(*fields(rows), strict=True)

    return Reader(Again(samples), tuple)


def _columns(workload: Workload, samples: list[Values]) -> list[Any]:
    return [_column(field, [sample[field.name] for sample in samples]) for field in workload.fields]


def _column(field: Field, values: list[Any]) -> Any:
    if not field.shape:
        return pa.array(values, _type(field))
    flat = pa.array(np.stack(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(field.shape)))


def _type(field: Field) -> Any:
    if field.dtype:
        inner = pa.from_numpy_dtype(np.dtype(field.dtype))
        return pa.list_(inner, int(np.prod(field.shape)) if field.shape else -1)
    return {int: pa.int64(), str: pa.string(), float: pa.float64()}[field.kind]


def _to_numpy(field: Field, column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if field.shape:
        return column.flatten().to_numpy().reshape(-1, *field.shape)
    return column.to_numpy(zero_copy_only=False)


SYSTEM = Lance()
