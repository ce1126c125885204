"""The types a field can have: how each is spelled, checked, packed, unpacked and described.

Packing writes fixed widths (64-bit integers and floats, 32-bit lengths for bytes and arrays), so
that samples of equal shapes have byte-identical structure. Unpacking takes any width.
"""

from __future__ import annotations

import struct
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import msgpack
import numpy as np
from numpy.typing import NDArray

from atdata.errors import FieldError, SampleTypeError
from atdata.samples import headers
from atdata.samples.arrays import array_to_buffers, bytes_to_array

Emit = Callable[[Any], object]


class Mismatch(Exception):  # noqa: N818 -- never leaves the package: the codec adds type and field
    """A value that is not what a field type wants; ``path`` leads to it inside the field."""

    def __init__(self, expected: str, value: object, path: str = "", why: str = "") -> None:
        super().__init__(expected, value, path, why)
        self.expected, self.value, self.path, self.why = expected, value, path, why


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
        """Check what msgpack yielded and return the field's value."""
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
        if not isinstance(value, bool | np.bool_):
            raise Mismatch("bool", value)
        emit(headers.TRUE if value else headers.FALSE)

    def decode(self, raw: Any) -> bool:
        if raw is True or raw is False:
            return raw
        raise Mismatch("bool", raw)


@dataclass(frozen=True)
class Int(FieldType):
    """``int`` of 64 bits, signed or unsigned; numpy integers become Python's."""

    tag: ClassVar[str] = "int"
    rank: ClassVar[int] = 0
    annotation: ClassVar[Any] = int
    native: ClassVar[type | None] = int

    def encode(self, value: Any, emit: Emit) -> None:
        if type(value) is not int:
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise Mismatch("int", value)
            value = int(value)
        try:
            emit(headers.int_bytes(value))
        except struct.error:
            raise Mismatch("int of at most 64 bits", value) from None

    def decode(self, raw: Any) -> int:
        if type(raw) is int:
            return raw
        raise Mismatch("int", raw)


@dataclass(frozen=True)
class Float(FieldType):
    """``float``; integers that a 64-bit float holds exactly are accepted."""

    tag: ClassVar[str] = "float"
    rank: ClassVar[int] = 0
    annotation: ClassVar[Any] = float
    native: ClassVar[type | None] = float

    def encode(self, value: Any, emit: Emit) -> None:
        emit(headers.float_bytes(value if type(value) is float else self.decode(value)))

    def decode(self, raw: Any) -> float:
        if type(raw) is float:
            return raw
        if isinstance(raw, bool) or not isinstance(raw, float | int | np.floating | np.integer):
            raise Mismatch("float", raw)
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
        if not isinstance(value, str):
            raise Mismatch("str", value)
        try:
            emit(headers.str_bytes(value))
        except UnicodeEncodeError:
            raise Mismatch("str", value, why="a lone surrogate has no UTF-8 form") from None

    def decode(self, raw: Any) -> str:
        if type(raw) is str:
            return raw
        raise Mismatch("str", raw)


@dataclass(frozen=True)
class Bytes(FieldType):
    """``bytes``; bytearrays and memoryviews become bytes."""

    tag: ClassVar[str] = "bytes"
    rank: ClassVar[int] = 2
    annotation: ClassVar[Any] = bytes
    native: ClassVar[type | None] = bytes

    def encode(self, value: Any, emit: Emit) -> None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise Mismatch("bytes", value)
        data = bytes(value)
        emit_length(len(data), emit)
        emit(data)

    def decode(self, raw: Any) -> bytes:
        if type(raw) is bytes:
            return raw
        raise Mismatch("bytes", raw)


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
        emit_length(len(header) + len(data), emit)
        emit(header)
        emit(data)

    def decode(self, raw: Any) -> np.ndarray[Any, Any]:
        if type(raw) is bytes:
            raw = bytes_to_array(raw)
        self._check(raw)
        return raw  # type: ignore[no-any-return]

    def _check(self, value: Any) -> None:
        if not isinstance(value, np.ndarray):
            raise Mismatch(str(self), value, why="np.asarray makes one")
        if self.scalar and not issubclass(value.dtype.type, getattr(np, self.scalar)):
            raise Mismatch(str(self), value, why=".astype converts it")

    @property
    def annotation(self) -> Any:
        return NDArray[getattr(np, self.scalar) if self.scalar else Any]

    def __str__(self) -> str:
        return f"NDArray[{self.scalar}]" if self.scalar else "NDArray"


@dataclass(frozen=True)
class List(FieldType):
    """``list[T]``; tuples are taken and come back as lists."""

    items: FieldType
    tag: ClassVar[str] = "array"

    def encode(self, value: Any, emit: Emit) -> None:
        if not isinstance(value, list | tuple):
            raise Mismatch(str(self), value)
        emit(headers.array_header(len(value)))
        self._each(lambda item: self.items.encode(item, emit), value)

    def decode(self, raw: Any) -> list[Any]:
        if type(raw) is not list and type(raw) is not tuple:
            raise Mismatch(str(self), raw)
        if self.items.native and set(map(type, raw)) <= {self.items.native}:
            return list(raw)
        return self._each(self.items.decode, raw)

    def _each(self, call: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        results: list[Any] = []
        try:
            for value in values:
                results.append(call(value))  # noqa: PERF401 -- the length so far locates a mismatch
        except Mismatch as error:
            path = f"[{len(results)}]{error.path}"
            raise Mismatch(error.expected, error.value, path, error.why) from None
        return results

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
        except (ValueError, OverflowError, RecursionError) as error:
            raise Mismatch("dict", value, why=str(error)) from None

    def decode(self, raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise Mismatch("dict", raw)
        return plain(raw)  # type: ignore[no-any-return]


def emit_length(length: int, emit: Emit) -> None:
    """Emit a msgpack bin header of 32-bit width."""
    if length > headers.MAX_LENGTH:
        raise Mismatch("at most 4 GiB", f"{length} bytes")
    emit(headers.bin_header(length))


def plain(value: Any, path: str = "") -> Any:
    """Copy a nested value into what msgpack holds: None, bool, int, float, str, bytes, list, dict."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, np.generic) and isinstance(value.item(), bool | int | float | str | bytes):
        return value.item()
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        if wrong := next((key for key in value if not isinstance(key, str)), None):
            raise Mismatch("dict with str keys", wrong, path, why="every key must be a string")
        return {key: plain(item, f"{path}[{key!r}]") for key, item in value.items()}
    raise Mismatch("None, bool, int, float, str, bytes, list or dict", value, path)


_PRIMITIVES: dict[Any, FieldType] = {
    bool: Bool(),
    int: Int(),
    float: Float(),
    str: Str(),
    bytes: Bytes(),
    dict: Dict(),
}
PRIMITIVES = {kind.tag: kind for kind in _PRIMITIVES.values() if kind.tag != "dict"}


def parse_annotation(annotation: Any) -> tuple[FieldType, bool]:
    """Read a resolved annotation as a field type and whether ``None`` is allowed.

    Raises:
        SampleTypeError: the annotation is none of the supported ones.
    """
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        if len(inner) == 1:
            return _parse_required(inner[0]), True
        raise _unsupported(annotation, "a field has one type, optionally `| None`")
    return _parse_required(annotation), False


def _parse_required(annotation: Any) -> FieldType:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and annotation in _PRIMITIVES:
        return _PRIMITIVES[annotation]
    if annotation is np.ndarray or origin is np.ndarray:
        return Array(_scalar_name(args))
    if origin is list:
        items, optional = parse_annotation(args[0])
        if optional or isinstance(items, Array):
            raise _unsupported(annotation, "list items are plain values or lists of them, never None")
        return List(items)
    if annotation is list:
        raise _unsupported(annotation, "say what is in it, as in list[int]")
    if origin is dict and args == (str, Any):
        return _PRIMITIVES[dict]
    raise _unsupported(annotation, "use str, int, float, bool, bytes, NDArray, list[T], dict or T | None")


def _scalar_name(args: tuple[Any, ...]) -> str | None:
    """Find the scalar type in the arguments of np.ndarray[shape, np.dtype[scalar]]."""
    dtype_args = typing.get_args(args[1]) if len(args) > 1 else ()
    scalar = dtype_args[0] if dtype_args else Any
    if scalar is Any or isinstance(scalar, typing.TypeVar) or scalar is np.generic:
        return None
    if isinstance(scalar, type) and issubclass(scalar, np.generic) and scalar is not np.object_:
        return scalar.__name__
    raise _unsupported(scalar, "the scalar type of an array is one of numpy's, other than object_")


def _unsupported(annotation: Any, remedy: str) -> SampleTypeError:
    shown = annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else annotation
    return SampleTypeError(f"Unsupported type for schema field: {shown}; {remedy}", annotation=annotation)
