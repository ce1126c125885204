"""How a dataset is iterated: shards to runs, runs to samples, samples through stages to batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from atdata.dataset.ahead import open_shards
from atdata.dataset.batching import batch_rows, batch_samples
from atdata.dataset.readers import ALONE, Rank, Reader, distributed_rank, find_reader
from atdata.dataset.registered import Registered
from atdata.dataset.shuffling import Shuffle, shuffled, shuffled_rows
from atdata.dataset.source import shard_ids
from atdata.dataset.stages import Stage, Take
from atdata.dataset.url import redacted
from atdata.errors import AtdataError, EmptyDatasetError
from atdata.shards import Rows, ShardReader, in_chunks


@dataclass(frozen=True)
class SampleStream:
    """A recipe for iterating a dataset; each call or ``iter`` starts from the beginning.

    It is the first step of the ``webdataset`` pipelines a dataset hands out, so it pickles; a rank
    that ``torch.distributed`` knows goes along to the workers that unpickle it. Iterated as such a
    step it yields this reader's part of the shards; ``samples`` and ``rows`` take everything
    unless another reader is named.
    """

    source: Any
    sample_type: type[Any]
    stages: tuple[Stage, ...]
    batch_type: type[Any]
    batch_size: int | None = None
    shuffle: Shuffle | None = None
    registered: Registered | None = None
    rank: Rank | None = None
    carried: Rank | None = None

    def __call__(self) -> Iterator[Any]:
        """Start from the beginning, as the first step of a pipeline is asked to."""
        return iter(self)

    def __iter__(self) -> Iterator[Any]:
        reader = find_reader(self.rank, self.carried)
        if self.batch_size is None:
            return self.samples(reader)
        if not self.stages:
            return batch_rows(self.rows(reader), self.batch_size, self.batch_type)
        return batch_samples(self.samples(reader), self.batch_size, self.batch_type)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "carried": distributed_rank() or self.carried}

    def samples(self, reader: Reader = ALONE) -> Iterator[Any]:
        """Apply the stages; shuffle before them, or after the last that takes first samples."""
        cut = max(
            (i + 1 for i, stage in enumerate(self.stages) if isinstance(stage, Take)), default=0
        )
        if cut and reader.index:
            # The first samples are the same for all readers, so one of them reads for all.
            return iter(())
        rows = self._rows(ALONE if cut else reader, None if cut else self.shuffle)
        chunks = chain.from_iterable(in_chunks(part, 0, len(part)) for part in rows)
        samples: Iterator[Any] = chain.from_iterable(chunks)
        for stage in self.stages[:cut]:
            samples = stage.apply(samples)
        if cut and self.shuffle:
            samples = shuffled(samples, self.shuffle.buffer_samples, self.shuffle.entropy("taken"))
        for stage in self.stages[cut:]:
            samples = stage.apply(samples)
        return samples

    def rows(self, reader: Reader = ALONE) -> Iterator[Rows]:
        """Yield the samples as the shards hold them, before any stage."""
        return self._rows(reader, self.shuffle)

    def _rows(self, reader: Reader, shuffle: Shuffle | None) -> Iterator[Rows]:
        rows = self._read(self._shards(reader, shuffle), is_whole=reader.count == 1)
        if shuffle is None:
            return rows
        entropy = shuffle.entropy(f"samples {reader.index} of {reader.count}")
        return shuffled_rows(rows, shuffle.buffer_samples, entropy)

    def _shards(self, reader: Reader, shuffle: Shuffle | None) -> Iterator[str]:
        shards: Iterable[str] = shard_ids(self.source)
        if shuffle is not None and shuffle.seed is not None:
            shards = shuffled(shards, shuffle.buffer_shards, shuffle.entropy("shards"))
        part = islice(shards, reader.index, None, reader.count)
        if shuffle is not None and shuffle.seed is None:
            # Readers share no randomness without a seed: each shuffles a part that is its own.
            return shuffled(part, shuffle.buffer_shards, None)
        return part

    def _read(self, shards: Iterable[str], *, is_whole: bool) -> Iterator[Rows]:
        reader, known = ShardReader(self.sample_type), self.registered or _UNREGISTERED
        try:
            with closing(open_shards(self.source, shards, digests=known.digests)) as opened:
                for shard, stream in opened:
                    yield from reader.read(stream, redacted(shard), known.expected(shard))
        except AtdataError as error:
            raise known.named(error) from error.__cause__
        if is_whole and not reader.count:
            raise EmptyDatasetError(
                f"{self.source!r} holds no samples in any of its shards; write them again"
            )


_UNREGISTERED = Registered()
