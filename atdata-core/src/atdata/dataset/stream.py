"""How a dataset is iterated: shards to runs, runs to samples, samples through stages to batches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from atdata.errors import BatchError
from atdata.samples import DictSample
from atdata.shards import Run, read_runs
from atdata.dataset.batch import SampleBatch
from atdata.dataset.shuffling import Shuffle, shuffled
from atdata.dataset.source import shard_ids
from atdata.dataset.stages import Stage, Take
from atdata.dataset.url import redacted


class Place(NamedTuple):
    """Which of how many readers this one is, over all workers of all nodes."""

    index: int
    count: int


@dataclass(frozen=True)
class SampleStream:
    """A recipe for iterating a dataset; each call or ``iter`` starts anew.

    It is the first step of the ``webdataset`` pipelines a dataset hands out, so it pickles.
    """

    source: Any
    sample_type: type[Any]
    stages: tuple[Stage, ...]
    batch_type: type[Any]
    batch_size: int | None = None
    shuffle: Shuffle | None = None

    def __call__(self) -> Iterator[Any]:
        return iter(self)

    def __iter__(self) -> Iterator[Any]:
        samples: Iterator[Any] = self._samples(this_place())
        return samples if self.batch_size is None else self._batches(samples, self.batch_size)

    def _samples(self, place: Place) -> Iterator[Any]:
        """Apply the stages; shuffle before them, or behind the last that takes the first samples."""
        cut = max((i + 1 for i, stage in enumerate(self.stages) if isinstance(stage, Take)), default=0)
        if cut:
            # The first samples are the same for all readers, so one of them reads for all.
            place, shuffle = Place(0, 1) if place.index == 0 else Place(0, 0), None
        else:
            shuffle = self.shuffle
        samples = self._raw_samples(place, shuffle)
        for stage in self.stages[:cut]:
            samples = stage.apply(samples)
        if cut and self.shuffle:
            samples = shuffled(samples, self.shuffle.buffer_samples, self.shuffle.random("taken"))
        for stage in self.stages[cut:]:
            samples = stage.apply(samples)
        return samples

    def _raw_samples(self, place: Place, shuffle: Shuffle | None) -> Iterator[Any]:
        runs = self._runs(self._shards(place, shuffle))
        read = self.sample_type.from_bytes
        if shuffle is None:
            return (sample for run in runs for sample in run.decode(read))
        rng = shuffle.random(f"samples {place.index} of {place.count}")
        packed = shuffled((one for run in runs for one in run.split()), shuffle.buffer_samples, rng)
        return (sample for one in packed for sample in one.decode(read))

    def _shards(self, place: Place, shuffle: Shuffle | None) -> Iterable[str]:
        shards: Iterable[str] = shard_ids(self.source)
        if shuffle is None:
            return islice(shards, place.index, None, place.count) if place.count else ()
        if shuffle.seed is None:
            # Readers share no randomness: each shuffles a fixed part.
            part = islice(shards, place.index, None, place.count)
            return shuffled(part, shuffle.buffer_shards, shuffle.random("shards"))
        order = shuffled(shards, shuffle.buffer_shards, shuffle.random("shards"))
        return islice(order, place.index, None, place.count)

    def _runs(self, shards: Iterable[str]) -> Iterator[Run]:
        for shard in shards:
            with closing(self.source.open_shard(shard)) as stream:
                yield from read_runs(stream, redacted(shard))

    def _batches(self, samples: Iterator[Any], size: int) -> Iterator[SampleBatch[Any]]:
        while chunk := list(islice(samples, size)):
            yield SampleBatch([_as_sample(s) for s in chunk], sample_type=self.batch_type)


def this_place() -> Place:
    """Find out which reader this process is: a worker of torch's DataLoader on a node of torchrun's.

    Torch is asked only where it is in use, and never imported for it.
    """
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data is not None else None
    worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
    rank, world = _node()
    return Place(rank * workers + worker, world * workers)


def _node() -> tuple[int, int]:
    """Return rank and number of nodes as launchers announce them (RANK and WORLD_SIZE)."""
    rank, world = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if rank.isdecimal() and world.isdecimal() and int(rank) < int(world):
        return int(rank), int(world)
    return 0, 1


def _as_sample(value: Any) -> Any:
    if isinstance(value, dict):
        return DictSample.from_data(value)
    if isinstance(value, str | bytes | int | float | list | tuple | None):
        raise BatchError(
            f"samples mapped to {type(value).__name__} have no fields to batch; "
            "map to a sample or a dict, or iterate with batch_size=None"
        )
    return value
