"""What is exported at a time: rows up to a number and size, as columns where they have one form."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from atdata.errors import FieldError
from atdata.samples import DictSample
from atdata.shards import Columns, Form, Rows
from atdata.shards.columns import Arrays, Blobs

# Also a row group of a Parquet file: long ones take less space and time, short ones less memory.
CHUNK_ROWS = 16_384
CHUNK_BYTES = 16 << 20
_POINTER = 8

Row = Mapping[str, Any]
Chunk = Columns | list[Row]


class Chunks:
    """Rows cut into chunks: at the same rows whether they come as columns or as samples."""

    def __init__(self, rows: Iterator[Rows]) -> None:
        self._rows = rows
        self._part: Rows | None = None
        self._at = 0

    def take(self, count: int = sys.maxsize) -> Iterator[Chunk]:
        """Yield chunks of the next rows, at most that many in all."""
        while count and self.has_more():
            chunk = _Chunk(min(count, CHUNK_ROWS))
            while not chunk.is_full and (part := self._part_at_hand()) is not None:
                self._at += chunk.add(part, self._at)
            count -= chunk.count
            yield chunk.rows()

    def has_more(self) -> bool:
        """Whether rows are left; it may take reading on to tell."""
        return self._part_at_hand() is not None

    def _part_at_hand(self) -> Rows | None:
        while self._part is None or self._at == len(self._part):
            self._part, self._at = next(self._rows, None), 0
            if self._part is None:
                return None
        return self._part


class _Chunk:
    """A chunk that is being put together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._columns: Columns | None = None
        # Samples of several forms, or of none, are kept one by one.
        self._samples: list[Row] | None = None
        self.count = 0

    @property
    def is_full(self) -> bool:
        return self.count == self._most or self._size >= CHUNK_BYTES

    def add(self, part: Rows, start: int) -> int:
        """Take rows from one on until the chunk is full, and return how many."""
        columns = self._columns_for(part.form)
        before = self.count
        if columns is None:
            self._append(part, start)
        else:
            self._fill(columns, part, start)
        return self.count - before

    def rows(self) -> Chunk:
        """Return what was taken."""
        return self._as_samples() if self._columns is None else self._columns.part(0, self.count)

    def _columns_for(self, form: Form | None) -> Columns | None:
        """Return the columns if rows have their form; the first rows decide it."""
        if form is None or self._samples is not None:
            return None
        if self._columns is None:
            width = max(1, _width(form))
            self._columns = form.empty(min(self._most, -(-CHUNK_BYTES // width)))
        return self._columns if self._columns.form == form else None

    def _fill(self, columns: Columns, part: Rows, start: int) -> None:
        stop = min(len(part), start + len(columns) - self.count)
        places = slice(self.count, self.count + stop - start)
        part.fill(columns, places, start, stop)
        sizes = np.full(stop - start, _width(columns.form), np.int64)
        for name, kind in columns.form.kinds.items():
            if kind.width is None:
                sizes += np.fromiter(map(_size, columns.raw[name][places]), np.int64)
        ends = self._size + sizes.cumsum()
        # What no longer belongs here is read again for the next chunk.
        taken = min(len(ends), int(ends.searchsorted(CHUNK_BYTES)) + 1)
        self.count += taken
        self._size = int(ends[taken - 1])

    def _append(self, part: Rows, start: int) -> None:
        samples = self._as_samples()
        for sample in part.samples(start, min(len(part), start + self._most - self.count)):
            row = fields_of(sample)
            samples.append(row)
            self.count += 1
            self._size += sum(map(_size, row.values()))
            if self.is_full:
                break

    def _as_samples(self) -> list[Row]:
        if self._samples is None:
            columns, self._columns = self._columns, None
            made = columns.part(0, self.count).samples() if columns is not None else []
            self._samples = [fields_of(sample) for sample in made]
        return self._samples


def fields_of(sample: Any) -> Row:
    """Return the fields of a sample, or of what a map made of one."""
    if isinstance(sample, DictSample):
        return sample.to_dict()
    if isinstance(sample, Mapping):
        return sample
    if not dataclasses.is_dataclass(sample):
        raise FieldError(
            f"samples mapped to {type(sample).__name__} have no fields to export; "
            "map them to a sample or a dict"
        )
    return {field.name: getattr(sample, field.name) for field in dataclasses.fields(sample)}


def names_of(chunk: Chunk) -> list[str]:
    """Return the names of all fields that any row has."""
    if isinstance(chunk, Columns):
        return chunk.names
    return list(dict.fromkeys(name for row in chunk for name in row))


def values_of(chunk: Chunk, name: str) -> list[Any]:
    """Return a field of all rows; None for rows that lack it."""
    if not isinstance(chunk, Columns):
        return [row.get(name) for row in chunk]
    kinds = chunk.form.kinds
    return list(kinds[name].values(chunk.raw[name])) if name in kinds else [None] * len(chunk)


def _width(form: Form) -> int:
    """Return what ``_size`` counts of the fields that have the same size in each row."""
    return sum(kind.width for kind in form.kinds.values() if isinstance(kind, Arrays | Blobs))


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    items = value.values() if isinstance(value, dict) else value
    return sum(_POINTER + _size(i) for i in items) if isinstance(value, dict | list | tuple) else 0
