"""Packing and unpacking the samples of one type, prepared once per type.

A sample is one msgpack map from field name to value. Fields of fixed width come first, each kind
in order of declaration; any order is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgpack
import numpy as np
from msgpack import unpackb

from atdata.errors import AtdataError, CorruptDataError, FieldError, LimitExceededError
from atdata.samples import headers
from atdata.samples.fields import Dict, Emit, FieldType, List, Mismatch
from atdata.samples.weights import (
    LIGHT,
    UNWEIGHED,
    check_weight,
    unpack_weighed,
    weigh,
    weigh_fields,
)

_OPTIONAL_RANK = 3
_TEXT_SHOWN = 60
_BITS_SHOWN = 256
_NAMES_SHOWN = 5


class Field(NamedTuple):
    """One field of a sample type; ``default`` is a factory, or None where there is none."""

    name: str
    type: FieldType
    optional: bool = False
    default: Callable[[], Any] | None = None

    @property
    def rank(self) -> int:
        """Where the packer puts the field: fixed widths first."""
        return max(self.type.rank, _OPTIONAL_RANK) if self.optional else self.type.rank


class Codec:
    """Turns attribute values into msgpack bytes and back, checking every field on both ways."""

    def __init__(self, type_name: str, fields: tuple[Field, ...]) -> None:
        self.type_name = type_name
        self.fields = fields
        self._names = frozenset(field.name for field in fields)
        ordered = sorted(fields, key=lambda field: field.rank)
        self._start = headers.map_header(len(fields))
        self._writers = [
            (f.name, headers.str_bytes(f.name), f.type.encode, f.optional) for f in ordered
        ]
        self._readers = [(f.name, f.type.native, f.type.decode, f.optional) for f in fields]
        self._weighed = [f.name for f in fields if isinstance(f.type, List | Dict)]

    def pack(self, sample: object) -> bytes:
        """Check and pack the fields of a sample."""
        return b"".join(self.buffers(sample))

    def buffers(self, sample: object) -> list[Any]:
        """Check the fields and return the packed sample in pieces, arrays not yet copied."""
        out: list[Any] = [self._start]
        emit: Emit = out.append
        for name, key, encode, optional in self._writers:
            emit(key)
            value = getattr(sample, name)
            try:
                if value is None and optional:
                    emit(headers.NIL)
                else:
                    encode(value, emit)
            except Mismatch as error:
                raise self._mismatch(name, error) from None
        if self._weighed:
            self._check_weight(sample, out)
        return out

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Unpack one sample and return the values of all fields, in order of declaration."""
        # That keys are strings needs no check here: they must be the names of the fields.
        return self.convert(_unpack(data, self.type_name))

    def convert(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Check what msgpack yielded and return the values of all fields."""
        if raw.keys() != self._names:
            raw = self._complete(raw)
        values: dict[str, Any] = {}
        for name, native, decode, optional in self._readers:
            value = raw[name]
            if type(value) is not native and not (value is None and optional):
                try:
                    value = decode(value)
                except Mismatch as error:
                    raise self._mismatch(name, error) from None
                except CorruptDataError as error:
                    raise _renamed(error, f"{self.type_name}.{name}: {error}") from error
            values[name] = value
        return values

    def _check_weight(self, sample: object, packed: list[Any]) -> None:
        own = sum(weigh(getattr(sample, name)) for name in self._weighed)
        weight = own + weigh_fields(len(self.fields))
        if weight > LIGHT:
            check_weight(self.type_name, weight, sum(map(len, packed)))

    def _complete(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in absent fields that have a default, and absent optional ones with None."""
        if extra := [key for key in raw if key not in self._names]:
            raise FieldError(
                f"{self.type_name} has no field {_listed(extra)}; "
                "read with a type that has, or as DictSample",
                sample_type=self.type_name,
                fields=extra,
            )
        absent = [field for field in self.fields if field.name not in raw]
        if lost := [f.name for f in absent if f.default is None and not f.optional]:
            raise FieldError(
                f"{self.type_name} misses {_listed(lost)} in the data and has no default for it; "
                "give it one, or read with a type without it",
                sample_type=self.type_name,
                fields=lost,
            )
        return {**raw, **{f.name: f.default() if f.default else None for f in absent}}

    def _mismatch(self, name: str, error: Mismatch) -> FieldError:
        optional = any(field.optional for field in self.fields if field.name == name)
        expected = error.expected + (" or None" if optional and not error.path else "")
        why = f" ({error.why})" if error.why else ""
        return FieldError(
            f"{self.type_name}.{name}{error.path}: "
            f"expected {expected}, got {describe(error.value)}{why}",
            sample_type=self.type_name,
            field=name,
            expected=expected,
            value_type=type(error.value).__name__,
        )


def unpack_map(data: bytes, type_name: str = "a sample") -> dict[str, Any]:
    """Unpack bytes that must be exactly one msgpack map with distinct string keys."""
    raw = _unpack(data, type_name)
    if not {*map(type, raw)} <= {str}:
        raise CorruptDataError(f"the bytes of {type_name} name a field by something but a string")
    return raw


def _unpack(data: bytes, type_name: str) -> dict[Any, Any]:
    try:
        if len(data) > UNWEIGHED:
            raw = unpack_weighed(data, type_name, _distinct, _refuse_extension)
        else:
            raw = unpackb(data, object_pairs_hook=_distinct, ext_hook=_refuse_extension)
    except LimitExceededError:
        raise
    # msgpack's own exceptions are ValueErrors, but for UnpackException.
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise CorruptDataError(
            f"the bytes of {type_name} are not a valid sample: {error}"
        ) from error
    if type(raw) is not dict:
        raise CorruptDataError(
            f"the bytes of {type_name} hold {describe(raw)}, not a map of fields"
        )
    return raw


def describe(value: object) -> str:
    """Describe a value in an error: its type, and as much of it as fits."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    kind = type(value).__name__
    if value is None or isinstance(value, bool | float):
        return repr(value) if value is None else f"{kind} {value!r}"
    # The repr of a very long int is an error of its own, that of a long string is noise.
    short = value.bit_length() <= _BITS_SHOWN if isinstance(value, int) else _is_short_text(value)
    return f"{kind} {value!r}" if short else kind


def _is_short_text(value: object) -> bool:
    return isinstance(value, str | bytes) and len(value) <= _TEXT_SHOWN


def located(error: AtdataError, where: str, **details: Any) -> AtdataError:
    """Copy an error, adding where in the data it arose to its sentence and attributes."""
    return type(error)(f"{error.message} ({where})", **{**error.details, **details})


def _distinct(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CorruptDataError("a map in them has the same key twice")
    return found


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise CorruptDataError(f"msgpack extension type {code} is never stored")


def _renamed(error: CorruptDataError, message: str) -> CorruptDataError:
    return type(error)(message, **error.details)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name!r:.{_TEXT_SHOWN}}" for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
