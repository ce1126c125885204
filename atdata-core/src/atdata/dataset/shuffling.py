"""The order of shuffled reading: first of shards, then of samples in a buffer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar
from weakref import WeakSet

import numpy as np

from atdata.shards import Columns, Form, Places, Rows, Run, Samples
from atdata.shards.columns import numbers
from atdata.shards.large import LARGE, LocalFile
from atdata.shards.runs import Kept

T = TypeVar("T")

# How many rows of a full buffer are handed on at a time when nothing more comes in.
_DRAINED = 1024
# Rows are exchanged in this many parts of a buffer: the more at once, the less far they spread,
# by half of one part of the whole.
_EXCHANGES = 64
# Memory for more is not asked for at once.
_BLOCK_BYTES = 1 << 30

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
    would in ``shuffled``. A buffer costs the bytes of its samples; of large samples in local files
    it holds the outlines only. Rows that have no common form are shuffled as objects from there on.
    """
    pool: _Pool | None = None
    rng = np.random.default_rng(entropy)
    for part in rows:
        if not isinstance(part, Run) or part.form is None or (pool and pool.form != part.form):
            held = [s for p in pool.drain() for s in p.samples(0, len(p))] if pool else []
            objects = chain(held, _samples(chain([part], rows)))
            yield from (Samples([sample]) for sample in shuffled(objects, buffer, entropy))
            return
        pool = pool or _Pool(part.form, buffer, rng)
        yield from pool.exchange(part)
    if pool is not None:
        yield from pool.drain()


def _samples(rows: Iterable[Rows]) -> Iterator[Any]:
    return (sample for part in rows for sample in part.samples(0, len(part)))


class _Pool:
    """A buffer of rows of one form."""

    def __init__(self, form: Form, size: int, rng: np.random.Generator) -> None:
        self.form = form
        self._size = size
        self._rng = rng
        is_large = form.row_bytes >= LARGE or form.row_bytes * size > _BLOCK_BYTES
        self._held: _Block | _Singles = _Singles(form) if is_large else _Block(form, size)
        self._count = 0

    def exchange(self, part: Run) -> Iterator[Rows]:
        """Take rows in, and hand out as many as there is no room for."""
        at = min(len(part), self._size - self._count)
        if at:
            self._held.put(part, np.arange(self._count, self._count + at), 0)
            self._count += at
        while at < len(part):
            count = min(len(part) - at, max(1, self._size // _EXCHANGES))
            places = self._rng.choice(self._size, count, replace=False)
            yield _Picked(self._held, places)
            self._held.put(part, places, at)
            at += len(places)

    def drain(self) -> Iterator[Rows]:
        order = self._rng.permutation(self._count)
        for start in range(0, self._count, _DRAINED):
            yield _Picked(self._held, order[start : start + _DRAINED])


class _Block:
    """Rows in one block of columns, which the system gives memory as it is filled."""

    def __init__(self, form: Form, size: int) -> None:
        self.form = form
        self._columns = form.empty(size)

    def put(self, part: Run, places: Ints, start: int) -> None:
        """Copy rows of a part, from one on, to places here."""
        part.fill(self._columns, places, start, start + len(places))

    def fill(self, target: Columns, places: Places, picked: Ints) -> None:
        """Copy picked rows to places in other columns."""
        self._columns.fill(target, places, picked)


class _Singles:
    """Rows one by one: where they are in a file, or a copy."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._rows: dict[int, Kept] = {}
        self._files: WeakSet[LocalFile] = WeakSet()

    def put(self, part: Run, places: Ints, start: int) -> None:
        """Keep rows of a part, from one on, at places here."""
        for row, place in enumerate(places.tolist(), start):
            self._rows[place] = part.keep(row, self._files)

    def fill(self, target: Columns, places: Places, picked: Ints) -> None:
        """Copy picked rows to places in other columns."""
        for to, place in zip(numbers(places, len(target)), picked.tolist(), strict=True):
            rows, row = self._rows[place]
            rows.fill(target, slice(to, to + 1), row, row + 1)


class _Picked:
    """Some rows of a pool, which stay what they are until the next are asked for."""

    def __init__(self, held: _Block | _Singles, places: Ints) -> None:
        self._held = held
        self._places = places

    @property
    def form(self) -> Form | None:
        return self._held.form

    @property
    def row_bytes(self) -> int:
        return self._held.form.row_bytes

    def __len__(self) -> int:
        return len(self._places)

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        self._held.fill(target, places, self._places[start:stop])

    def samples(self, start: int, stop: int) -> list[Any]:
        picked = self._held.form.empty(stop - start)
        self.fill(picked, slice(0, stop - start), start, stop)
        return picked.samples()
