"""The types a field can have: how each is checked, packed, unpacked and described.

Packing writes fixed widths (64-bit integers and floats, 32-bit lengths for bytes and arrays), so
that samples of equal shapes have byte-identical structure. Unpacking takes any width.
"""

# The methods of a field type do what FieldType says of them.
# ruff: noqa: D102

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_
from typing import Any, ClassVar, cast

import msgpack
import numpy as np
from numpy.typing import NDArray

from atdata.errors import FieldError
from atdata.samples import headers
from atdata.samples.arrays import array_to_buffers, bytes_to_array

Emit = Callable[[Any], object]

MAX_NESTING = 100
_KEY_SHOWN = 40


class Mismatch(Exception):  # noqa: N818 -- never leaves the package: the codec adds type and field
    """A value that is not what a field type wants; ``path`` leads to it inside the field."""

    def __init__(self, expected: str, value: object, *, path: str = "", why: str = "") -> None:
        super().__init__(expected, value, path, why)
        self.expected, self.value, self.path, self.why = expected, value, path, why

    def below(self, step: str) -> Mismatch:
        """Return the same mismatch as seen from one level up."""
        return Mismatch(self.expected, self.value, path=step + self.path, why=self.why)


class FieldType:
    """One type a field can have. Instances are immutable values."""

    tag: ClassVar[str]
    # Fixed widths are packed first: 0 numbers, 1 arrays, 2 bytes, 4 whatever varies.
    rank: ClassVar[int] = 4
    # What msgpack yields where nothing is left to check or convert.
    native: ClassVar[type | None] = None

    def encode(self, value: Any, emit: Emit) -> None:
        """Check a value and emit its msgpack bytes."""
        raise NotImplementedError

    def decode(self, raw: Any) -> Any:
        """Check a value, from msgpack or from Python, and return it in its Python form."""
        raise NotImplementedError

    @property
    def annotation(self) -> Any:
        """The annotation that spells this type."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.tag


@dataclass(frozen=True)
class Bool(FieldType):
    """``bool``; numpy booleans become Python's."""

    tag: ClassVar[str] = "bool"
    rank: ClassVar[int] = 0
    annotation: ClassVar[Any] = bool
    native: ClassVar[type | None] = bool

    def encode(self, value: Any, emit: Emit) -> None:
        emit(headers.TRUE if self.decode(value) else headers.FALSE)

    def decode(self, raw: Any) -> bool:
        if isinstance(raw, bool | np.bool_):
            return bool(raw)
        raise Mismatch("bool", raw)


@dataclass(frozen=True)
class Int(FieldType):
    """``int`` of 64 bits, signed or unsigned; numpy integers become Python's."""

    tag: ClassVar[str] = "int"
    rank: ClassVar[int] = 0
    annotation: ClassVar[Any] = int
    native: ClassVar[type | None] = int

    def encode(self, value: Any, emit: Emit) -> None:
        try:
            emit(headers.int_bytes(value if type(value) is int else self.decode(value)))
        except struct.error:
            raise Mismatch("int of at most 64 bits", value) from None

    def decode(self, raw: Any) -> int:
        # To numpy a timedelta is an integer, but one with a unit.
        if isinstance(raw, int | np.integer) and not isinstance(raw, bool | np.timedelta64):
            return int(raw)
        raise Mismatch("int", raw)


# Shared, as Python shares small integers: a list can hold one for each byte it is stored as.
_SMALL_FLOATS = {number: float(number) for number in range(-128, 256)}


@dataclass(frozen=True)
class Float(FieldType):
    """``float``; other numbers are accepted where a 64-bit float holds them exactly."""

    tag: ClassVar[str] = "float"
    rank: ClassVar[int] = 0
    annotation: ClassVar[Any] = float
    native: ClassVar[type | None] = float

    def encode(self, value: Any, emit: Emit) -> None:
        emit(headers.float_bytes(value if type(value) is float else self.decode(value)))

    def decode(self, raw: Any) -> float:
        is_number = isinstance(raw, float | int | np.floating | np.integer)
        if not is_number or isinstance(raw, bool | np.timedelta64):
            raise Mismatch("float", raw)
        if type(raw) is int and raw in _SMALL_FLOATS:
            return _SMALL_FLOATS[raw]
        try:
            number = float(raw)
        except OverflowError:
            number = float("inf")
        if number != raw and raw == raw:  # noqa: PLR0124 -- NaN differs from itself and is a float
            raise Mismatch("float", raw, why="a 64-bit float cannot hold it exactly")
        return number


@dataclass(frozen=True)
class Str(FieldType):
    """``str``, any Unicode text without lone surrogates."""

    tag: ClassVar[str] = "str"
    annotation: ClassVar[Any] = str
    native: ClassVar[type | None] = str

    def encode(self, value: Any, emit: Emit) -> None:
        try:
            emit(headers.str_bytes(self.decode(value)))
        except UnicodeEncodeError:
            raise Mismatch("str", value, why="a lone surrogate has no UTF-8 form") from None

    def decode(self, raw: Any) -> str:
        if isinstance(raw, str):
            # The text itself, where str() would ask a subclass how it likes to be shown.
            return str.__str__(raw)
        raise Mismatch("str", raw)


@dataclass(frozen=True)
class Bytes(FieldType):
    """``bytes``; bytearrays and memoryviews become bytes."""

    tag: ClassVar[str] = "bytes"
    rank: ClassVar[int] = 2
    annotation: ClassVar[Any] = bytes
    native: ClassVar[type | None] = bytes

    def encode(self, value: Any, emit: Emit) -> None:
        data = self.decode(value)
        _emit_length(len(data), emit)
        emit(data)

    def decode(self, raw: Any) -> bytes:
        if isinstance(raw, bytes | bytearray | memoryview):
            return bytes(raw)
        raise Mismatch("bytes", raw)


_CONCRETE = {np.dtype(code).type: np.dtype(np.dtype(code).str).type for code in np.typecodes["All"]}
_ABSTRACT = (
    *(np.number, np.integer, np.signedinteger, np.unsignedinteger),
    *(np.inexact, np.floating, np.complexfloating, np.flexible, np.character),
)

# How an array type names numpy's scalar types: those of one dtype (long and long long) alike, and
# none that stands for any of them.
SCALARS: dict[Any, str | None] = {
    Any: None,
    np.generic: None,
    **{kind: kind.__name__ for kind in _ABSTRACT},
    **{kind: same.__name__ for kind, same in _CONCRETE.items() if kind is not np.object_},
}


@dataclass(frozen=True)
class Array(FieldType):
    """A numpy array of any shape; ``scalar`` names the numpy scalar type its dtype must be."""

    scalar: str | None = None
    tag: ClassVar[str] = "ndarray"
    rank: ClassVar[int] = 1

    def encode(self, value: Any, emit: Emit) -> None:
        self._check(value)
        try:
            header, data = array_to_buffers(value)
        except FieldError as error:
            raise Mismatch(str(self), value, why=str(error)) from None
        _emit_length(len(header) + len(data), emit)
        emit(header)
        emit(data)

    def decode(self, raw: Any) -> np.ndarray[Any, Any]:
        array: Any = bytes_to_array(raw) if isinstance(raw, bytes | memoryview) else raw
        self._check(array)
        return array  # type: ignore[no-any-return]

    def _check(self, value: Any) -> None:
        if not isinstance(value, np.ndarray):
            raise Mismatch(str(self), value, why="np.asarray makes one")
        if self.scalar is not None and not _is_scalar(value.dtype.type, self.scalar):
            raise Mismatch(str(self), value, why=".astype converts it")

    @property
    def annotation(self) -> Any:
        scalar: Any = getattr(np, self.scalar) if self.scalar else Any
        return NDArray[scalar]

    def __str__(self) -> str:
        return f"NDArray[{self.scalar}]" if self.scalar else "NDArray"


@lru_cache(maxsize=1024)
def _is_scalar(kind: type[np.generic], scalar: str) -> bool:
    return issubclass(_CONCRETE.get(kind, kind), getattr(np, scalar))


@dataclass(frozen=True)
class List(FieldType):
    """``list[T]``; tuples are taken and come back as lists."""

    items: FieldType
    tag: ClassVar[str] = "array"

    def encode(self, value: Any, emit: Emit) -> None:
        if not isinstance(value, list | tuple):
            raise Mismatch(str(self), value)
        emit(headers.array_header(len(value)))
        _each(lambda item: self.items.encode(item, emit), value)

    def decode(self, raw: Any) -> list[Any]:
        if not isinstance(raw, list | tuple):
            raise Mismatch(str(self), raw)
        if self.items.native and {*map(type, raw)} <= {self.items.native}:
            return raw if type(raw) is list else list(raw)
        return _itself_or(raw, _each(self.items.decode, raw))

    @property
    def annotation(self) -> Any:
        return list[self.items.annotation]  # type: ignore[name-defined]

    def __str__(self) -> str:
        return f"list[{self.items}]"


@dataclass(frozen=True)
class Dict(FieldType):
    """``dict`` with string keys and msgpack values; it has no form on the network."""

    tag: ClassVar[str] = "dict"
    annotation: ClassVar[Any] = dict

    def encode(self, value: Any, emit: Emit) -> None:
        if not isinstance(value, dict):
            raise Mismatch("dict", value)
        try:
            emit(msgpack.packb(plain(value)))
        # Integers of more than 64 bits, and strings with lone surrogates.
        except (ValueError, OverflowError) as error:
            raise Mismatch("dict", value, why=str(error)) from None

    def decode(self, raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise Mismatch("dict", raw)
        return plain(raw)  # type: ignore[no-any-return]


PRIMITIVES: dict[str, FieldType] = {
    kind.tag: kind for kind in (Bool(), Int(), Float(), Str(), Bytes())
}

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


def plain(value: Any, depth: int = 0) -> Any:
    """Turn a nested value into what msgpack holds, numpy scalars and tuples into Python's own.

    Lists and dicts in which there is nothing to turn are returned as they are.
    """
    if type(value) in _PLAIN:
        return value
    if depth == MAX_NESTING:
        raise Mismatch(f"at most {MAX_NESTING} levels of nesting", value)
    if isinstance(value, dict):
        return _plain_dict(value, depth + 1)
    if isinstance(value, list | tuple):
        if type(value) is list and _PLAIN.issuperset(map(type, value)):
            return value
        return _itself_or(value, _each(lambda item: plain(item, depth + 1), value))
    is_scalar = isinstance(value, np.bool_ | np.number | np.str_ | np.bytes_)
    if is_scalar and not isinstance(value, np.timedelta64) and type(value.item()) in _PLAIN:
        return value.item()
    raise Mismatch("None, bool, int, float, str, bytes, list or dict", value)


def _plain_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise Mismatch("str keys in a dict", key)
        try:
            copy[key] = plain(item, depth)
        except Mismatch as error:
            raise error.below(f"[{key!r:.{_KEY_SHOWN}}]") from None
    is_same = type(value) is dict and all(map(is_, copy.values(), value.values()))
    return value if is_same else copy


def _itself_or(values: Sequence[Any], converted: list[Any]) -> list[Any]:
    """Return the list itself if nothing in it was converted: a copy takes as much memory again."""
    is_same = type(values) is list and all(map(is_, values, converted))
    return cast("list[Any]", values) if is_same else converted


def _each(call: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    results: list[Any] = []
    try:
        for value in values:
            results.append(call(value))  # noqa: PERF401 -- the length so far locates a mismatch
    except Mismatch as error:
        raise error.below(f"[{len(results)}]") from None
    return results


def _emit_length(length: int, emit: Emit) -> None:
    if length > headers.MAX_LENGTH:
        raise Mismatch(f"at most {headers.MAX_LENGTH} bytes", length)
    emit(headers.bin_header(length))
