"""How a dataset is iterated: shards to runs, runs to samples, samples through stages to batches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from atdata.dataset.ahead import open_shards
from atdata.dataset.batching import batch_rows, batch_samples
from atdata.dataset.shuffling import Shuffle, shuffled, shuffled_rows
from atdata.dataset.source import shard_ids
from atdata.dataset.stages import Stage, Take
from atdata.dataset.url import redacted
from atdata.errors import EmptyDatasetError
from atdata.shards import Rows, ShardReader, in_chunks


@dataclass(frozen=True)
class Place:
    """Which of how many readers this one is, over all workers of all nodes."""

    index: int
    count: int


ALONE = Place(0, 1)


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
        """Start anew, as the first step of a pipeline is asked to."""
        return iter(self)

    def __iter__(self) -> Iterator[Any]:
        place = this_place()
        if self.batch_size is None:
            return self.samples(place)
        if not self.stages:
            return batch_rows(self.rows(place), self.batch_size, self.batch_type)
        return batch_samples(self.samples(place), self.batch_size, self.batch_type)

    def samples(self, place: Place) -> Iterator[Any]:
        """Apply the stages; shuffle before them, or behind the last that takes first samples."""
        cut = max(
            (i + 1 for i, stage in enumerate(self.stages) if isinstance(stage, Take)), default=0
        )
        if cut and place.index:
            # The first samples are the same for all readers, so one of them reads for all.
            return iter(())
        rows = self._rows(ALONE if cut else place, None if cut else self.shuffle)
        chunks = chain.from_iterable(in_chunks(part, 0, len(part)) for part in rows)
        samples: Iterator[Any] = chain.from_iterable(chunks)
        for stage in self.stages[:cut]:
            samples = stage.apply(samples)
        if cut and self.shuffle:
            samples = shuffled(samples, self.shuffle.buffer_samples, self.shuffle.entropy("taken"))
        for stage in self.stages[cut:]:
            samples = stage.apply(samples)
        return samples

    def rows(self, place: Place) -> Iterator[Rows]:
        """Yield the samples as the shards hold them, before any stage."""
        return self._rows(place, self.shuffle)

    def _rows(self, place: Place, shuffle: Shuffle | None) -> Iterator[Rows]:
        rows = self._read(self._shards(place, shuffle), is_whole=place.count == 1)
        if shuffle is None:
            return rows
        entropy = shuffle.entropy(f"samples {place.index} of {place.count}")
        return shuffled_rows(rows, shuffle.buffer_samples, entropy)

    def _shards(self, place: Place, shuffle: Shuffle | None) -> Iterator[str]:
        shards: Iterable[str] = shard_ids(self.source)
        if shuffle is not None and shuffle.seed is not None:
            shards = shuffled(shards, shuffle.buffer_shards, shuffle.entropy("shards"))
        part = islice(shards, place.index, None, place.count)
        if shuffle is not None and shuffle.seed is None:
            # Readers share no randomness without a seed: each shuffles a part that is its own.
            return shuffled(part, shuffle.buffer_shards, None)
        return part

    def _read(self, shards: Iterable[str], *, is_whole: bool) -> Iterator[Rows]:
        reader = ShardReader(self.sample_type)
        with closing(open_shards(self.source, shards)) as opened:
            for shard, stream in opened:
                yield from reader.read(stream, redacted(shard))
        if is_whole and not reader.count:
            raise EmptyDatasetError(
                f"{self.source!r} holds no samples in any of its shards; write them again"
            )


def this_place() -> Place:
    """Find out which reader this is: a worker of torch's DataLoader on a node of torchrun's.

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
