"""Samples as columns: one array a field, from which batches and single samples are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from atdata.samples import DictSample
from atdata.samples.headers import TRUE
from atdata.samples.packable import builder_of

Array = np.ndarray[Any, Any]
# Which rows: a range of them, or their numbers.
Places = slice | np.ndarray[Any, np.dtype[np.int64]]


def numbers(places: Places, count: int) -> Sequence[int]:
    """Return the numbers of places among so many rows."""
    return range(*places.indices(count)) if isinstance(places, slice) else places.tolist()


class Kind:
    """How a field's values lie in its column: ``width`` raw bytes a row, or one Python object."""

    width: int | None

    def empty(self, count: int) -> Array:
        """Make a raw column of that many rows."""
        return np.empty((count, self.width), np.uint8)

    def values(self, raw: Array) -> Sequence[Any]:
        """Return the values of single samples; arrays are views of the column."""
        raise NotImplementedError

    def column(self, raw: Array) -> Any:
        """Return the values of a batch: a stacked array, or a list."""
        return list(self.values(raw))


@dataclass(frozen=True)
class Arrays(Kind):
    """Arrays of one dtype, shape and order."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str

    @cached_property
    def width(self) -> int:  # type: ignore[override]
        """The bytes of one array."""
        return self.dtype.itemsize * math.prod(self.shape)

    def column(self, raw: Array) -> Array:
        """Stack the arrays, which are contiguous in memory already."""
        rows = (len(raw), *(self.shape if self.order == "C" else self.shape[::-1]))
        stacked = (
            raw.reshape(-1).view(self.dtype).reshape(rows)
            if raw.size
            else np.empty(rows, self.dtype)
        )
        return (
            stacked if self.order == "C" else stacked.transpose(0, *range(stacked.ndim - 1, 0, -1))
        )

    def values(self, raw: Array) -> Sequence[Array]:
        """Return the arrays one by one, of no dimensions too."""
        stacked = self.column(raw)
        return list(stacked) if self.shape else [stacked[row, ...] for row in range(len(raw))]


@dataclass(frozen=True)
class Numbers(Kind):
    """Integers or floats of one width, big-endian as msgpack has them."""

    dtype: np.dtype[Any]

    @property
    def width(self) -> int:  # type: ignore[override]
        """The bytes of one number."""
        return self.dtype.itemsize

    def values(self, raw: Array) -> list[Any]:
        """Return Python numbers."""
        return raw.reshape(-1).view(self.dtype).tolist()


@dataclass(frozen=True)
class SmallNumbers(Numbers):
    """Integers from -32 to 127, each of which is a msgpack type byte of its own."""

    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.int8))


@dataclass(frozen=True)
class Booleans(Kind):
    """msgpack's true and false, which are bytes of their own."""

    width = 1

    def values(self, raw: Array) -> list[bool]:
        """Return Python booleans."""
        return (raw.reshape(-1) == TRUE[0]).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Nones(Kind):
    """An optional field that is absent from every row."""

    width = 0

    def values(self, raw: Array) -> list[None]:
        """Return as many Nones."""
        return [None] * len(raw)


@dataclass(frozen=True)
class Blobs(Kind):
    """Bytes of one length."""

    length: int

    @property
    def width(self) -> int:  # type: ignore[override]
        """The length."""
        return self.length

    def values(self, raw: Array) -> list[bytes]:
        """Return Python bytes."""
        return [row.tobytes() for row in raw]


@dataclass(frozen=True)
class Objects(Kind):
    """Python objects: text, lists, whatever has no one width."""

    width = None

    def empty(self, count: int) -> Array:
        """Make a column of that many None."""
        return np.empty(count, object)

    def values(self, raw: Array) -> list[Any]:
        """Return the objects."""
        return list(raw)


@dataclass(frozen=True)
class Form:
    """What the rows of a block have in common: their type, and each field's name and kind."""

    sample_type: type[Any]
    fields: tuple[tuple[str, Kind], ...]

    @property
    def is_plain(self) -> bool:
        """Whether samples hold what is stored; a class may change its own as it makes them."""
        return self.sample_type is DictSample or builder_of(self.sample_type).is_plain

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each field, in order."""
        return dict(self.fields)

    @cached_property
    def row_bytes(self) -> int:
        """What a row takes in columns, Python objects counted as pointers."""
        return sum(8 if kind.width is None else kind.width for kind in self.kinds.values())

    def empty(self, count: int) -> Columns:
        """Make columns of that many rows, to be filled."""
        return Columns(self, {name: kind.empty(count) for name, kind in self.kinds.items()}, count)


class Columns:
    """Rows of one form, in memory of their own."""

    __slots__ = ("form", "length", "raw")

    def __init__(self, form: Form, raw: dict[str, Array], length: int) -> None:
        self.form = form
        self.raw = raw
        self.length = length

    def __len__(self) -> int:
        return self.length

    @property
    def names(self) -> list[str]:
        """The field names."""
        return list(self.form.kinds)

    def column(self, name: str) -> Any:
        """Return a field of all rows: a stacked array or a list; ``KeyError`` if there is none."""
        return self.form.kinds[name].column(self.raw[name])

    def samples(self) -> list[Any]:
        """Make a sample of each row; arrays are writable views of the columns."""
        columns = {name: kind.values(self.raw[name]) for name, kind in self.form.kinds.items()}
        if self.form.sample_type is not DictSample:
            return builder_of(self.form.sample_type).many(columns, self.length)
        rows = zip(*columns.values(), strict=True) if columns else repeat((), self.length)
        # Nested maps, because a Python loop would take twice as long.
        return list(map(DictSample.from_data, map(dict, map(zip, repeat(list(columns)), rows))))

    def part(self, start: int, stop: int) -> Columns:
        """Return some of the rows, as views."""
        raw = {name: column[start:stop] for name, column in self.raw.items()}
        return Columns(self.form, raw, stop - start)

    def fill(self, target: Columns, places: Places, rows: Places) -> None:
        """Copy some rows to places in other columns of the same form."""
        for name, raw in self.raw.items():
            column = target.raw[name]
            if isinstance(places, slice) and not isinstance(rows, slice):
                # Unlike indexing it copies but once; "clip" is what lets it write in place.
                raw.take(rows, axis=0, out=column[places], mode="clip")
            else:
                column[places] = raw[rows]
