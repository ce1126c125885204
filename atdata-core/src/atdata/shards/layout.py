"""Where the fields of a sample lie in its bytes, so that they can be read from many samples alike.

A layout is made from one packed sample: its fields in order, as long as each has a width that its
type and header tell. What lies between the values (names, msgpack types, lengths, ``.npy`` headers)
is structure, which must be the same in every sample read by the layout. From the first field of
varying width on, samples have a tail, which is read row by row. A loose layout has in its tail
whatever could be of another width in another sample: arrays, bytes and optional fields too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from atdata.errors import AtdataError
from atdata.samples import DictSample
from atdata.samples.arrays import MAX_DIMENSIONS, MAX_HEADER, array_layout
from atdata.samples.codec import Codec, Field, unpack_map
from atdata.samples.fields import Array, Bool, Bytes, Float, Int, Str
from atdata.samples.headers import map_header, map_length
from atdata.samples.packable import codec_of
from atdata.shards.columns import (
    Arrays,
    Blobs,
    Booleans,
    Form,
    Kind,
    Nones,
    Numbers,
    Objects,
    SmallNumbers,
)
from atdata.shards.tails import Located
from atdata.shards.template import ByteArray, Template

_NUMBERS: dict[int, np.dtype[Any]] = {
    0xCA: np.dtype(">f4"),
    0xCB: np.dtype(">f8"),
    0xCC: np.dtype(">u1"),
    0xCD: np.dtype(">u2"),
    0xCE: np.dtype(">u4"),
    0xCF: np.dtype(">u8"),
    0xD0: np.dtype(">i1"),
    0xD1: np.dtype(">i2"),
    0xD2: np.dtype(">i4"),
    0xD3: np.dtype(">i8"),
}
_BIN_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_NIL = 0xC0
_BOOLEANS = (0xC2, 0xC3)


class Placed(NamedTuple):
    """A field at a fixed offset."""

    name: str
    kind: Kind
    offset: int


@dataclass(frozen=True)
class Layout:
    """Fields at fixed offsets, the structure between them, and the names in the tail."""

    form: Form
    placed: tuple[Placed, ...]
    # The sample it was made from, up to the tail, and what of it must be equal in every sample.
    model: bytes
    fixed: tuple[slice, ...]
    tail: tuple[str, ...]
    # What finds the values of a tail in its bytes; else what unpacks it, as a map of its own.
    located: tuple[Located, ...]
    tail_codec: Codec | None

    @property
    def length(self) -> int:
        """The bytes of a sample before its tail."""
        return len(self.model)

    @cached_property
    def structure(self) -> Template:
        """What every sample must look like."""
        return Template(self.model, self.fixed)

    def matches(self, rows: ByteArray) -> Any:
        """Tell which rows of a matrix of samples fit; rows are as long as ``length`` and more."""
        good = self.structure.matches(rows.view(np.uint64))
        for _, kind, offset in self.placed:
            if isinstance(kind, Booleans):
                good &= (rows[:, offset] & 0xFE) == _BOOLEANS[0]
            elif isinstance(kind, SmallNumbers):
                good &= (rows[:, offset] < 0x80) | (rows[:, offset] >= 0xE0)
        return good

    def without(self, cut: Sequence[Placed]) -> Layout:
        """Return the layout of samples that some of the values have been cut out of."""
        spans = [slice(offset, offset + (kind.width or 0)) for _, kind, offset in cut]
        edges = [0, *(edge for span in spans for edge in (span.start, span.stop)), self.length]

        def moved(at: int) -> int:
            return at - sum(span.stop - span.start for span in spans if span.start < at)

        return replace(
            self,
            placed=tuple(p._replace(offset=moved(p.offset)) for p in self.placed if p not in cut),
            model=b"".join(self.model[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)),
            fixed=tuple(slice(moved(s.start), moved(s.stop)) for s in self.fixed),
        )


def make_layout(
    sample: memoryview, sample_type: type[Any], *, loose: bool = False
) -> Layout | None:
    """Find the layout of a packed sample of a type; None if it takes the careful reader.

    That is so where fields are missing, unknown, repeated or not of their type: cases for
    defaults and errors, which the careful reader knows.
    """
    try:
        return _Parser(sample, sample_type, loose=loose).parse()
    except (_NotRegularError, AtdataError, IndexError):
        return None


class _NotRegularError(Exception):
    """The sample is not one that a layout can describe."""


class _Parser:
    def __init__(self, sample: memoryview, sample_type: type[Any], *, loose: bool) -> None:
        self._data = sample
        self._loose = loose
        self._type = sample_type
        self._fields: Mapping[str, Field] | None = None
        if sample_type is not DictSample:
            self._fields = {field.name: field for field in codec_of(sample_type).fields}
        self._at = 0
        self._structure_from = 0
        self._structure: list[slice] = []
        self._placed: list[Placed] = []

    def parse(self) -> Layout:
        count = map_length(bytes(self._data[:5]))
        if count is None:
            raise _NotRegularError
        self._at = 1 if self._data[0] < 0x90 else 3 if self._data[0] == 0xDE else 5
        tail_at = None
        for _ in range(count):
            tail_at = self._at
            name = self._read_name()
            kind = self._read_kind(name)
            if kind is None:
                break
            self._place(name, kind)
            tail_at = None
        return self._finish(count, tail_at)

    def _finish(self, count: int, tail_at: int | None) -> Layout:
        end = self._at if tail_at is None else tail_at
        self._add_structure(end)
        if tail_at is None and end != len(self._data):
            raise _NotRegularError
        placed = [field.name for field in self._placed]
        tail = self._tail(end, count - len(placed))
        names = {*placed, *tail}
        if len(names) != count or (self._fields is not None and names != self._fields.keys()):
            raise _NotRegularError
        kinds = {name: kind for name, kind, _ in self._placed} | dict.fromkeys(tail, Objects())
        order = list(self._fields) if self._fields is not None else [*placed, *tail]
        located = self._located(tail)
        return Layout(
            Form(self._type, tuple((name, kinds[name]) for name in order)),
            tuple(self._placed),
            bytes(self._data[:end]),
            tuple(self._structure),
            tuple(tail),
            located,
            None if located or not tail else self._tail_codec(tail),
        )

    def _located(self, tail: Mapping[str, Any]) -> tuple[Located, ...]:
        """Prepare the reading of tails of texts, bytes and arrays; nothing if there is more."""
        found = [self._find(name, value) for name, value in tail.items()]
        return () if None in found else tuple(filter(None, found))

    def _find(self, name: str, value: Any) -> Located | None:
        field = self._fields[name] if self._fields is not None else None
        if type(value) is str:
            return Located(name, None) if field is None or field.type == Str() else None
        # Where a value may be None, unpacking goes on where finding would end.
        if type(value) is not bytes or (field is not None and field.optional):
            return None
        if field is None or field.type == Bytes():
            return Located(name, bytes)
        return Located(name, field.type.decode) if isinstance(field.type, Array) else None

    def _tail_codec(self, tail: Mapping[str, Any]) -> Codec:
        """Prepare the unpacking of tails of anything."""
        if self._fields is None:
            # Which names the tails of other untyped samples have is not known.
            raise _NotRegularError
        return Codec(self._type.__name__, tuple(self._fields[name] for name in tail))

    def _tail(self, start: int, count: int) -> dict[str, Any]:
        """Unpack the tail: the remaining pairs are a map of their own but for its header."""
        if not count:
            return {}
        return unpack_map(map_header(count) + bytes(self._data[start:]))

    def _read_name(self) -> str:
        kind = self._data[self._at]
        start, length = self._at + 1, kind & 0x1F
        if kind == 0xD9:
            start, length = self._at + 2, self._data[self._at + 1]
        elif not 0xA0 <= kind <= 0xBF:
            raise _NotRegularError
        name = bytes(self._data[start : start + length])
        self._at = start + length
        try:
            return name.decode()
        except UnicodeDecodeError:
            raise _NotRegularError from None

    def _read_kind(self, name: str) -> Kind | None:
        """Read the type of the value here and go to its data; None if its width may vary."""
        field = None if self._fields is None else self._fields.get(name)
        if self._fields is not None and field is None:
            raise _NotRegularError
        if self._loose and field is not None and field.optional:
            return None
        code = self._data[self._at]
        kind = self._read_fixed(code, field)
        if kind is not None and field is not None and not _fits(kind, field):
            raise _NotRegularError
        return kind

    def _read_fixed(self, code: int, field: Field | None) -> Kind | None:
        if code < 0x80 or code >= 0xE0:
            return SmallNumbers()
        if code in _BOOLEANS:
            return Booleans()
        self._at += 1
        if code == _NIL:
            return Nones()
        if code in _NUMBERS:
            return Numbers(_NUMBERS[code])
        if code not in _BIN_LENGTHS or self._loose:
            return None
        return self._read_bin(_BIN_LENGTHS[code], field)

    def _read_bin(self, width: int, field: Field | None) -> Kind:
        length = int.from_bytes(self._data[self._at : self._at + width], "big")
        self._at += width
        if field is None or not isinstance(field.type, Array):
            return Blobs(length)
        array = array_layout(bytes(self._data[self._at : self._at + min(length, MAX_HEADER)]))
        self._at += array.start
        # Columns of arrays have one more dimension than each.
        if array.start + array.nbytes != length or len(array.shape) == MAX_DIMENSIONS:
            raise _NotRegularError
        return Arrays(array.dtype, array.shape, array.order)

    def _place(self, name: str, kind: Kind) -> None:
        width = kind.width or 0
        if self._at + width > len(self._data):
            raise _NotRegularError
        self._add_structure(self._at)
        self._placed.append(Placed(name, kind, self._at))
        self._at += width
        self._structure_from = self._at

    def _add_structure(self, end: int) -> None:
        if end > self._structure_from:
            self._structure.append(slice(self._structure_from, end))


def _fits(kind: Kind, field: Field) -> bool:
    """Whether values of a kind are what a field holds without conversion."""
    wanted = field.type
    if isinstance(kind, Nones):
        return field.optional
    if isinstance(kind, Numbers):
        return isinstance(wanted, Float if kind.dtype.kind == "f" else Int)
    if isinstance(kind, Arrays):
        # A dtype that the field restricts is an error that the careful reader words.
        scalar = getattr(np, wanted.scalar or "generic") if isinstance(wanted, Array) else None
        return scalar is not None and issubclass(kind.dtype.type, scalar)
    return isinstance(wanted, Bool if isinstance(kind, Booleans) else Bytes)
