"""Runs: samples of one layout that lie one behind the other in a window, read as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSet
from typing import Any, NamedTuple, Protocol

import numpy as np

from atdata.errors import AtdataError, CorruptDataError
from atdata.samples.codec import located
from atdata.samples.fields import Mismatch
from atdata.samples.headers import map_header
from atdata.shards.columns import Array, Columns, Form, Places, numbers
from atdata.shards.layout import Layout
from atdata.shards.members import Members
from atdata.shards.tails import locate, read_located
from atdata.shards.tar import BLOCK
from atdata.shards.template import ByteArray, Ints, leading

# Samples are made this many at a time: of more, Python's garbage collector goes through those at
# hand again and again, which takes as long as making them. They share memory, so large ones are
# fewer.
_CHUNK = 256
_CHUNK_BYTES = 4 << 20

# Beginnings of this many blocks are gathered where samples are irregularly spaced, longer ones
# copied row by row.
_GATHERED = 16


class Rows(Protocol):
    """Some consecutive samples, valid until the next ones are asked for."""

    @property
    def form(self) -> Form | None:
        """What the samples have in common as columns; None if they can only be had one by one."""
        ...

    @property
    def row_bytes(self) -> int:
        """What a row takes as columns; 0 if it is an object already."""
        ...

    def __len__(self) -> int: ...

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        """Copy some of the samples to places in columns of the same form."""
        ...

    def samples(self, start: int, stop: int) -> list[Any]:
        """Make some of the samples, in memory of their own."""
        ...


class Samples:
    """Rows that are Python objects already."""

    form = None
    row_bytes = 0

    def __init__(self, samples: list[Any]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def fill(self, *_: object) -> None:
        """Refuse: without a form there are no columns to fill."""
        raise TypeError("samples without a form do not fill columns")

    def samples(self, start: int, stop: int) -> list[Any]:
        """Return some of the samples."""
        return self._samples[start:stop]


class Matched(NamedTuple):
    """Members seen as rows of a layout, and where in the buffer the values of each tail are."""

    layout: Layout
    buffer: ByteArray
    members: Members
    rows: ByteArray
    located: list[tuple[Ints, Ints]]


class Copied:
    """Rows in columns of their own."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def begin_fill(self, target: Columns, places: Places, rows: Places) -> list[Any]:
        """Copy some rows to places, after which nothing is left to be read."""
        self._columns.fill(target, places, rows)
        return []


class Run:
    """Samples that all have one layout, seen as a matrix with a row for each."""

    def __init__(self, matched: Matched, shard: str) -> None:
        self._layout, self._buffer, self._members, self._rows, self._located = matched
        self._shard = shard
        self.form: Form | None = self._layout.form if self._layout.form.is_plain else None

    @property
    def row_bytes(self) -> int:
        """What a row takes as columns."""
        return self._layout.form.row_bytes

    def __len__(self) -> int:
        return len(self._rows)

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        """Copy some rows to places in columns of the same form."""
        self.begin_fill(target, places, slice(start, stop))

    def begin_fill(self, target: Columns, places: Places, rows: Places) -> list[Any]:
        """Copy some rows: one strided copy for each field of fixed width.

        Returns what is still to be read from files, of this run nothing.
        """
        for name, kind, offset in self._layout.placed:
            target.raw[name][places] = self._rows[rows, offset : offset + (kind.width or 0)]
        if self._layout.tail:
            read = self._read_located if self._located else self._read_tails
            for name, values in read(rows).items():
                target.raw[name][places] = values
        return []

    def samples(self, start: int, stop: int) -> list[Any]:
        """Make some of the samples from columns of their own."""
        columns = self._layout.form.empty(stop - start)
        self.fill(columns, slice(None), start, stop)
        return columns.samples()

    def keep(self, row: int, files: MutableSet[Any]) -> Kept:  # noqa: ARG002 -- a copy needs no file
        """Return a row so that it stays after the next ones are asked for.

        It is copied, unless it can be left in its file, which then stays open; ``files`` are those
        that are kept open already.
        """
        copy = self._layout.form.empty(1)
        self.fill(copy, slice(0, 1), row, row + 1)
        return Copied(copy), 0

    def _read_located(self, rows: Places) -> dict[str, Array]:
        try:
            return {
                value.name: read_located(self._buffer.data, value, begins[rows], ends[rows])
                for value, (begins, ends) in zip(self._layout.located, self._located, strict=True)
            }
        except (UnicodeDecodeError, CorruptDataError, Mismatch):
            return self._row_by_row(self._read_carefully, rows)

    def _read_tails(self, rows: Places) -> dict[str, Array]:
        return self._row_by_row(self._read_tail, rows)

    def _row_by_row(self, read: Callable[[int], dict[str, Any]], rows: Places) -> dict[str, Array]:
        some = numbers(rows, len(self))
        columns = {name: np.empty(len(some), object) for name in self._layout.tail}
        for at, row in enumerate(some):
            values = read(row)
            for name, column in columns.items():
                column[at] = values[name]
        return columns

    def _read_tail(self, row: int) -> dict[str, Any]:
        """Unpack a tail; what is wrong in one is said by the careful reader."""
        codec = self._layout.tail_codec
        assert codec is not None  # noqa: S101 -- tails without one are text
        span = self._members.span(row)
        tail = self._buffer[span.start + self._layout.length : span.stop].tobytes()
        try:
            return codec.unpack(map_header(len(self._layout.tail)) + tail)
        except AtdataError:
            return self._read_carefully(row)

    def _read_carefully(self, row: int) -> dict[str, Any]:
        sample = decode(
            self._layout.form.sample_type,
            self._payload(row),
            self._shard,
            lambda: self._members.shown_key(self._buffer, row),
        )
        return {name: getattr(sample, name) for name in self._layout.tail}

    def _payload(self, row: int) -> bytes:
        return self._buffer[self._members.span(row)].tobytes()


# Rows that stay, and the number of one among them.
Kept = tuple[Copied | Run, int]


def in_chunks(rows: Rows, start: int, stop: int) -> Iterator[list[Any]]:
    """Make some samples, so few at a time that each keeps little memory of others in use."""
    count = min(_CHUNK, max(1, _CHUNK_BYTES // max(1, rows.row_bytes)))
    for at in range(start, stop, count):
        yield rows.samples(at, min(stop, at + count))


def decode(sample_type: type[Any], payload: bytes, shard: str, key: Callable[[], str]) -> Any:
    """Unpack one sample; an error says which shard and key it is about."""
    try:
        return sample_type.from_bytes(payload)
    except AtdataError as error:
        where = f"sample {key()!r} of shard {shard}"
        raise located(error, where, shard=shard, key=key()) from error


def match_run(layout: Layout, buffer: ByteArray, members: Members) -> Matched | None:
    """See as many of the first members as fit as rows of a layout; None if not even one does."""
    sizes = members.sizes
    count = leading(sizes >= layout.length if layout.tail else sizes == layout.length)
    if not count:
        return None
    rows = _matrix(buffer, members.data[:count], layout.length)
    count = leading(layout.matches(rows))
    located: list[tuple[Ints, Ints]] = []
    if layout.located and count:
        starts, ends = members.data[:count], members.data[:count] + sizes[:count]
        located, fits = locate(buffer, starts + layout.length, ends, layout.located)
        count = leading(fits)
    return Matched(layout, buffer, members, rows[:count], located) if count else None


def _matrix(buffer: ByteArray, at: Ints, width: int) -> ByteArray:
    """Return the beginnings of samples as rows of whole blocks: a view if equally spaced."""
    count = -(-width // BLOCK)
    first = at // BLOCK
    step = int(first[1] - first[0]) if len(at) > 1 else count
    if len(at) < 3 or (first[1:] - first[:-1] == step).all():
        shape, strides = (len(at), count * BLOCK), (step * BLOCK, 1)
        return np.ndarray(shape, np.uint8, buffer.data, int(first[0]) * BLOCK, strides)
    blocks = buffer[: buffer.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    if count <= _GATHERED:
        return blocks.take(first[:, None] + np.arange(count), axis=0).reshape(len(at), -1)
    return np.stack([blocks[start : start + count].reshape(-1) for start in first.tolist()])
