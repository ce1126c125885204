"""What is exported at a time: rows up to a number and size, as columns where they have one form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from atdata.errors import FieldError
from atdata.samples import DictSample
from atdata.shards import Columns, Form, Rows
from atdata.shards.columns import Arrays, Blobs, Booleans, Kind, Numbers, Objects

CHUNK_ROWS = 1024
CHUNK_BYTES = 64 << 20

Row = Mapping[str, Any]
Chunk = Columns | list[Row]


class Chunks:
    """Rows cut into chunks: at the same places whether they are columns or single samples."""

    def __init__(self, rows: Iterator[Rows]) -> None:
        self._rows = rows
        self._part: Rows | None = None
        self._at = 0

    def has_more(self) -> bool:
        """Whether rows are left, which may have to be read to tell."""
        while self._part is None or self._at == len(self._part):
            self._part, self._at = next(self._rows, None), 0
            if self._part is None:
                return False
        return True

    def take(self, count: int) -> Iterator[Chunk]:
        """Yield chunks of the next rows, at most that many in all."""
        while count and self.has_more():
            chunk = _Chunk(min(count, CHUNK_ROWS))
            while not chunk.is_full and self.has_more():
                assert self._part is not None  # noqa: S101 -- it has more
                self._at += chunk.add(self._part, self._at)
            count -= chunk.count
            yield chunk.take()


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
        """Add rows from one on until the chunk is full, and return how many it took."""
        before = self.count
        if self._accepts(part.form):
            self._add_columns(part, start)
        else:
            self._add_samples(part, start)
        return self.count - before

    def take(self) -> Chunk:
        """Return the rows."""
        return self._as_samples() if self._columns is None else self._columns.head(self.count)

    def _accepts(self, form: Form | None) -> bool:
        if form is None or self._samples is not None:
            return False
        if self._columns is None:
            fixed = _fixed_size(form)
            self._columns = form.empty(min(self._most, -(-CHUNK_BYTES // fixed) if fixed else self._most))
        return self._columns.form == form

    def _add_columns(self, part: Rows, start: int) -> None:
        columns = self._columns
        assert columns is not None  # noqa: S101 -- it has accepted the form
        after = min(len(columns), self.count + len(part) - start)
        part.fill(columns, slice(self.count, after), start, start + after - self.count)
        varying = [
            columns.raw[name][self.count : after]
            for name, kind in columns.form.fields
            if isinstance(kind, Objects)
        ]
        fixed = _fixed_size(columns.form)
        for values in zip(*varying, strict=True) if varying else [()] * (after - self.count):
            self._count_row(fixed + sum(map(_size, values)))
            if self.is_full:
                return

    def _add_samples(self, part: Rows, start: int) -> None:
        samples = self._as_samples()
        for sample in part.samples(start, min(len(part), start + self._most - self.count)):
            row = fields_of(sample)
            samples.append(row)
            self._count_row(sum(map(_size, row.values())))
            if self.is_full:
                return

    def _count_row(self, size: int) -> None:
        self.count += 1
        self._size += size

    def _as_samples(self) -> list[Row]:
        if self._samples is None:
            columns, self._columns = self._columns, None
            made = columns.head(self.count).samples() if columns is not None else []
            self._samples = [fields_of(sample) for sample in made]
        return self._samples
