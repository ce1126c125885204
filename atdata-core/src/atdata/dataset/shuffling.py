"""The order of shuffled reading: first of shards, then of samples in a buffer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from atdata.shards import Columns, Form, Places, Rows, Samples

T = TypeVar("T")

# How many rows of a full buffer are handed on at a time when nothing more comes in.
_DRAINED = 1024
# Rows are exchanged in this many parts of a buffer: the more at once, the less far they spread,
# by half of one part of the whole.
_EXCHANGES = 64
# Large rows are kept in several blocks, so that a buffer never has to be moved to grow.
_BLOCK_BYTES = 64 << 20

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Shuffle:
    """How to shuffle: by seed, epoch and reader, or anew each time without a seed."""

    buffer_shards: int
    buffer_samples: int
    seed: int | None = None
    epoch: int = 0

    def entropy(self, stream: str) -> int | None:
        """Return what seeds one stream of decisions, alike on every platform."""
        if self.seed is None:
            return None
        digest = hashlib.sha256(f"atdata {self.seed} {self.epoch} {stream}".encode()).digest()
        return int.from_bytes(digest, "big")


def shuffled(items: Iterable[T], buffer: int, entropy: int | None) -> Iterator[T]:
    """Yield items in random order through a buffer of that many.

    Each newcomer takes the place of a random one in the buffer, which is yielded; if everything
    fits the buffer the result is a uniform permutation.
    """
    rng = random.Random(entropy)
    held: list[T] = []
    source = iter(items)
    for item in source:
        held.append(item)
        if len(held) >= buffer:
            break
    for item in source:
        place = int(rng.random() * len(held))
        yield held[place]
        held[place] = item
    rng.shuffle(held)
    yield from held


def shuffled_rows(rows: Iterator[Rows], buffer: int, entropy: int | None) -> Iterator[Rows]:
    """Shuffle samples as ``shuffled`` does, but as rows of columns as long as they have one form.

    As many rows as come in go out, drawn at random from the buffer, so a row stays as long as it
    would in ``shuffled``. A buffer costs the bytes of its samples. Rows that have no common form
    are shuffled as objects from there on.
    """
    pool = _Pool(buffer, np.random.default_rng(entropy))
    for part in rows:
        if part.form is None or not pool.accepts(part.form):
            objects = chain(pool.samples(), _samples(chain([part], rows)))
            yield from (Samples([sample]) for sample in shuffled(objects, buffer, entropy))
            return
        yield from pool.exchange(part)
    yield from pool.drain()


def _samples(rows: Iterable[Rows]) -> Iterator[Any]:
    return (sample for part in rows for sample in part.samples(0, len(part)))


class _Pool:
    """A buffer of rows of one form, in blocks of columns that are made as they are needed."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._blocks: list[Columns] = []
        self._rows_a_block = size
        self._count = 0

    def accepts(self, form: Form) -> bool:
        return not self._blocks or self._blocks[0].form == form

    def samples(self) -> list[Any]:
        return [s for part in self.drain() for s in part.samples(0, len(part))]

    def exchange(self, part: Rows) -> Iterator[Rows]:
        """Take rows in, and hand out as many as there is no room for."""
        at = min(len(part), self._size - self._count)
        if at:
            self._put(part, range(self._count, self._count + at), 0)
            self._count += at
        while at < len(part):
            count = min(len(part) - at, max(1, self._size // _EXCHANGES))
            places = self._rng.choice(self._size, count, replace=False)
            yield _Picked(self._blocks, self._rows_a_block, places)
            self._put(part, places, at)
            at += len(places)

    def drain(self) -> Iterator[Rows]:
        order = self._rng.permutation(self._count)
        for start in range(0, self._count, _DRAINED):
            yield _Picked(self._blocks, self._rows_a_block, order[start : start + _DRAINED])

    def _put(self, part: Rows, places: range | Ints, start: int) -> None:
        """Copy rows of a part, from one on, to places in the pool."""
        assert part.form is not None  # noqa: S101 -- rows without a form were turned away
        if not self._blocks:
            self._rows_a_block = min(
                self._size, max(1, _BLOCK_BYTES // max(1, part.form.row_bytes))
            )
        while len(self._blocks) * self._rows_a_block < min(self._size, self._count + len(part)):
            self._blocks.append(part.form.empty(self._rows_a_block))
        if len(self._blocks) == 1:
            wanted = slice(places.start, places.stop) if isinstance(places, range) else places
            part.fill(self._blocks[0], wanted, start, start + len(places))
            return
        for row, place in enumerate(places, start):
            block, at = divmod(int(place), self._rows_a_block)
            part.fill(self._blocks[block], slice(at, at + 1), row, row + 1)


class _Picked:
    """Some rows of a pool, which stay what they are until the next are asked for."""

    def __init__(self, blocks: list[Columns], rows_a_block: int, places: Ints) -> None:
        self._form = blocks[0].form
        self._blocks = blocks
        self._rows_a_block = rows_a_block
        self._places = places

    @property
    def form(self) -> Form | None:
        return self._form

    def __len__(self) -> int:
        return len(self._places)

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        picked = self._places[start:stop]
        if len(self._blocks) == 1:
            self._blocks[0].fill(target, places, picked)
            return
        targets = range(places.start, places.stop) if isinstance(places, slice) else places.tolist()
        for to, place in zip(targets, picked.tolist(), strict=True):
            block, at = divmod(place, self._rows_a_block)
            self._blocks[block].fill(target, slice(to, to + 1), slice(at, at + 1))

    def samples(self, start: int, stop: int) -> list[Any]:
        picked = self._form.empty(stop - start)
        self.fill(picked, slice(0, stop - start), start, stop)
        return picked.samples()
