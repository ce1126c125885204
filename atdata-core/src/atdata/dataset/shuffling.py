"""The order of shuffled reading: first of shards, then of samples in a buffer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from atdata.shards import Columns, Form, Rows, Samples

T = TypeVar("T")

# How many rows of a full buffer are handed on at a time when nothing more comes in.
_DRAINED = 1024


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
    """A buffer of rows of one form, in columns that grow until they hold as many as wanted."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._columns: Columns | None = None
        self._count = 0

    def accepts(self, form: Form) -> bool:
        return self._columns is None or self._columns.form == form

    def samples(self) -> list[Any]:
        return self._columns.head(self._count).samples() if self._columns is not None else []

    def exchange(self, part: Rows) -> Iterator[Rows]:
        """Take rows in, and hand out as many as there is no room for."""
        at = min(len(part), self._size - self._count)
        if at:
            columns = self._grown(part.form, self._count + at)
            part.fill(columns, slice(self._count, self._count + at), 0, at)
            self._count += at
        while at < len(part):
            stop = min(len(part), at + self._size)
            places = self._rng.permutation(self._size)[: stop - at]
            columns = self._grown(part.form, self._size)
            yield _Picked(columns, places)
            part.fill(columns, places, at, stop)
            at = stop

    def drain(self) -> Iterator[Rows]:
        if self._columns is not None:
            order = self._rng.permutation(self._count)
            for start in range(0, self._count, _DRAINED):
                yield _Picked(self._columns, order[start : start + _DRAINED])

    def _grown(self, form: Form | None, wanted: int) -> Columns:
        if self._columns is not None and len(self._columns) >= wanted:
            return self._columns
        assert form is not None  # noqa: S101 -- rows without a form were turned away
        larger = form.empty(min(self._size, 2 * wanted))
        if self._columns is not None:
            self._columns.fill(larger, slice(0, self._count), slice(0, self._count))
        self._columns = larger
        return larger


class _Picked:
    """Some rows of a pool, which stay what they are until the next are asked for."""

    def __init__(self, columns: Columns, places: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        self.form: Form | None = columns.form
        self._columns = columns
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def fill(self, target: Columns, places: Any, start: int, stop: int) -> None:
        self._columns.fill(target, places, self._places[start:stop])

    def samples(self, start: int, stop: int) -> list[Any]:
        picked = self._columns.form.empty(stop - start)
        self.fill(picked, slice(0, stop - start), start, stop)
        return picked.samples()
