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

from atdata.shards import Columns, Form, Places, Rows, Run, in_chunks
from atdata.shards.columns import numbers
from atdata.shards.large import LARGE
from atdata.shards.local import LocalFile, Read, read_all
from atdata.shards.runs import Copied, Kept

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
    """Shuffle samples through a buffer, as rows of columns as long as they have one form.

    As many rows as come in go out, drawn at random from the buffer, so a row stays as long as it
    would in ``shuffled``. A buffer costs the bytes of its samples; of large samples in local files
    it holds the outlines only. Rows that have no common form are held as objects from there on.
    The order depends on the number of rows and the entropy alone: not on their form, nor on how
    many come at a time, which differs between files and streams.
    """
    pool = _Pool(buffer, np.random.default_rng(entropy))
    for part in rows:
        yield from pool.exchange(part)
    yield from pool.drain()


class _Pool:
    """A buffer of rows, held in the way that suits them."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._held: _Held | None = None
        self._count = 0
        # Places that are drawn and not yet exchanged.
        self._places = np.empty(0, np.int64)

    def exchange(self, part: Rows) -> Iterator[Rows]:
        """Take rows in, and hand out as many as there is no room for."""
        held = self._held = self._held_for(part)
        at = min(len(part), self._size - self._count)
        if at:
            held.put(part, np.arange(self._count, self._count + at), 0)
            self._count += at
        while at < len(part):
            places = self._draw(len(part) - at)
            yield _Picked(held, places)
            held.put(part, places, at)
            at += len(places)

    def drain(self) -> Iterator[Rows]:
        """Hand out what is left."""
        order = self._rng.permutation(self._count)
        for start in range(0, self._count, _DRAINED):
            assert self._held is not None  # noqa: S101 -- or nothing would be left
            yield _Picked(self._held, order[start : start + _DRAINED])

    def _draw(self, most: int) -> Ints:
        """Draw places, no two of them the same, for so many rows or fewer."""
        if not len(self._places):
            count = max(1, self._size // _EXCHANGES)
            self._places = self._rng.choice(self._size, count, replace=False)
        drawn, self._places = self._places[:most], self._places[most:]
        return drawn

    def _held_for(self, part: Rows) -> _Held:
        form = part.form if isinstance(part, Run) else None
        if self._held is None:
            return _Objects() if form is None else _held_as(form, self._size)
        if self._held.form is None or self._held.form == form:
            return self._held
        objects = _Objects()
        for start in range(0, self._count, _DRAINED):
            places = np.arange(start, min(self._count, start + _DRAINED))
            objects.put(_Picked(self._held, places), places, 0)
        return objects


def _held_as(form: Form, size: int) -> _Block | _Singles:
    is_large = form.row_bytes >= LARGE or form.row_bytes * size > _BLOCK_BYTES
    return _Singles(form) if is_large else _Block(form, size)


class _Held:
    """Rows at places; ``form`` is what they have in common, if anything."""

    form: Form | None

    def put(self, part: Any, places: Ints, start: int) -> None:
        """Keep rows of a part, from one on, at places here."""
        raise NotImplementedError

    def fill(self, target: Columns, places: Places, picked: Ints) -> None:
        """Copy picked rows to places in other columns."""
        raise NotImplementedError

    def samples(self, picked: Ints) -> list[Any]:
        """Make samples of picked rows."""
        assert self.form is not None  # noqa: S101 -- those without one hold samples
        columns = self.form.empty(len(picked))
        self.fill(columns, slice(None), picked)
        return columns.samples()


class _Objects(_Held):
    """Rows of any form, as the samples they are."""

    form = None

    def __init__(self) -> None:
        self._samples: dict[int, Any] = {}

    def put(self, part: Rows, places: Ints, start: int) -> None:
        samples = chain.from_iterable(in_chunks(part, start, start + len(places)))
        self._samples.update(zip(places.tolist(), samples, strict=True))

    def samples(self, picked: Ints) -> list[Any]:
        return [self._samples[place] for place in picked.tolist()]


class _Block(_Held):
    """Rows in one block of columns, which the system gives memory as it is filled."""

    form: Form

    def __init__(self, form: Form, size: int) -> None:
        self.form = form
        self._columns = form.empty(size)

    def put(self, part: Run, places: Ints, start: int) -> None:
        part.fill(self._columns, places, start, start + len(places))

    def fill(self, target: Columns, places: Places, picked: Ints) -> None:
        self._columns.fill(target, places, picked)


class _Singles(_Held):
    """Rows one by one: where they are in a file, or a copy."""

    form: Form

    def __init__(self, form: Form) -> None:
        self.form = form
        self._rows: dict[int, Kept] = {}
        self._files: WeakSet[LocalFile] = WeakSet()

    def put(self, part: Run, places: Ints, start: int) -> None:
        for row, place in enumerate(places.tolist(), start):
            self._rows[place] = part.keep(row, self._files)

    def fill(self, target: Columns, places: Places, picked: Ints) -> None:
        # What is picked from each run, and where it goes.
        parts: dict[Copied | Run, list[tuple[int, int]]] = {}
        for to, place in zip(numbers(places, len(target)), picked.tolist(), strict=True):
            rows, row = self._rows[place]
            parts.setdefault(rows, []).append((row, to))
        reads: list[Read] = []
        for rows, pairs in parts.items():
            chosen, slots = zip(*sorted(pairs), strict=True)
            reads += rows.begin_fill(target, np.array(slots), np.array(chosen))
        read_all(reads)


class _Picked:
    """Some rows of a pool, which stay what they are until the next are asked for."""

    def __init__(self, held: _Held, places: Ints) -> None:
        self._held = held
        self._places = places
        self.form = held.form

    @property
    def row_bytes(self) -> int:
        return self.form.row_bytes if self.form else 0

    def __len__(self) -> int:
        return len(self._places)

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        self._held.fill(target, places, self._places[start:stop])

    def samples(self, start: int, stop: int) -> list[Any]:
        return self._held.samples(self._places[start:stop])
