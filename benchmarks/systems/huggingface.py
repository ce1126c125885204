"""HF datasets: an Arrow dataset on disk, in numpy format."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from shutil import rmtree
from typing import Any

import datasets
import numpy as np

from benchmarks.systems.system import BUFFER, Again, Reader, System
from benchmarks.workloads import Field, Values, Workload

_CACHE = "cache"
_SAVED = "saved"
_SEED = 1


class HuggingFace(System):
    def write(self, folder: Path, workload: Workload, samples: list[Values]) -> None:
        features = datasets.Features({field.name: _feature(field) for field in workload.fields})
        self._written = datasets.Dataset.from_generator(
            lambda: iter(samples),
            features=features,
            cache_dir=str(folder / _CACHE),
            # Otherwise all samples are pickled to make one.
            fingerprint=workload.name,
        )

    def finish(self, folder: Path) -> None:
        # It is a second copy of what the generator filled, so it would count twice.
        self._written.save_to_disk(folder / _SAVED)
        del self._written
        rmtree(folder / _CACHE)

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        return _reader(_open(folder, workload), workload, batch)

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        samples = _open(folder, workload)
        if _narrow(workload):
            return _reader(samples.shuffle(seed=_SEED), workload, batch)
        stream = samples.to_iterable_dataset().shuffle(seed=_SEED, buffer_size=BUFFER)
        return _reader(stream, workload, batch)


def _open(folder: Path, workload: Workload) -> Any:
    samples = datasets.load_from_disk(folder / _SAVED)
    if not (narrow := _narrow(workload)):
        return samples.with_format("numpy")
    # The plain numpy format would make int64 of uint8 images and float32 of floats.
    names = [field.name for field in narrow]
    return samples.with_format(
        "numpy", columns=names, output_all_columns=True, dtype=narrow[0].dtype
    )


def _narrow(workload: Workload) -> list[Field]:
    return [field for field in workload.fields if field.dtype == "uint8"]


def _reader(samples: Any, workload: Workload, batch: int | None) -> Reader:
    items = samples if batch is None else Again(lambda: iter(samples.iter(batch)))
    return Reader(items, itemgetter(*workload.names))


def _feature(field: Field) -> Any:
    if field.kind is not np.ndarray:
        return datasets.Value({int: "int64", str: "string", float: "float64"}[field.kind])
    if field.shape and len(field.shape) > 1:
        return datasets.Array3D(field.shape, field.dtype)
    return datasets.List(datasets.Value(field.dtype), length=field.shape[0] if field.shape else -1)


datasets.disable_progress_bars()

SYSTEM = HuggingFace()
