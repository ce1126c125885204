"""Annotations of fields, in every documented spelling, read as field types."""

from __future__ import annotations

import types
import typing
from typing import Any, Union

import numpy as np

from atdata.errors import SampleTypeError
from atdata.samples.fields import (
    PRIMITIVES,
    SCALARS,
    Array,
    Dict,
    FieldType,
    List,
)

# What a `type` statement makes (PEP 695); Python 3.11 has none, and nothing is an instance of ().
_ALIAS: Any = getattr(typing, "TypeAliasType", ())

_PLAIN: dict[Any, FieldType] = {
    **{kind.annotation: kind for kind in PRIMITIVES.values()},
    dict: Dict(),
}


def parse_annotation(annotation: Any) -> tuple[FieldType, bool]:
    """Read a resolved annotation as a field type and whether ``None`` is allowed.

    Raises:
        SampleTypeError: the annotation is none of the supported ones.
    """
    annotation = _expand(annotation)
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return _parse_required(annotation), False
    inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
    if len(inner) > 1:
        raise _unsupported(annotation, "a field has one type, optionally `| None`")
    return _parse_required(inner[0]), True


def _expand(annotation: Any) -> Any:
    """Replace a type alias by what it stands for; from Python 3.12 on numpy's NDArray is one."""
    alias: Any = typing.get_origin(annotation) or annotation
    if not isinstance(alias, _ALIAS):
        return annotation
    args = typing.get_args(annotation)
    return _expand(alias.__value__[args] if args else alias.__value__)


def _parse_required(annotation: Any) -> FieldType:
    annotation = _expand(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is np.ndarray or origin is np.ndarray:
        return _array(args)
    if annotation is list or origin is list:
        return _list(annotation, args)
    if origin is dict and args in ((), (str, Any)):
        return _PLAIN[dict]
    if isinstance(annotation, type) and annotation in _PLAIN:
        return _PLAIN[annotation]
    remedy = "use str, int, float, bool, bytes, NDArray, list[T], dict or T | None"
    raise _unsupported(annotation, remedy)


def _array(args: tuple[Any, ...]) -> Array:
    """Read the arguments of ``np.ndarray[shape, np.dtype[scalar]]``."""
    dtype_args = typing.get_args(args[1]) if len(args) > 1 else ()
    scalar = dtype_args[0] if dtype_args else Any
    if isinstance(scalar, typing.TypeVar):
        return Array()
    # Abstract ones may come with a precision, as in np.floating[Any].
    kind = typing.get_origin(scalar) or scalar
    if (kind is Any or isinstance(kind, type)) and kind in SCALARS:
        return Array(SCALARS[kind])
    raise _unsupported(scalar, "the scalar type of an array is one of numpy's, other than object_")


def _list(annotation: Any, args: tuple[Any, ...]) -> List:
    if not args or isinstance(args[0], typing.TypeVar):
        raise _unsupported(annotation, "say what is in it, as in list[int]")
    items, optional = parse_annotation(args[0])
    if optional or isinstance(items, Array):
        raise _unsupported(annotation, "list items are plain values or lists of them, never None")
    return List(items)


def _unsupported(annotation: Any, remedy: str) -> SampleTypeError:
    is_class = isinstance(annotation, type) and not typing.get_args(annotation)
    shown = annotation.__name__ if is_class else annotation
    return SampleTypeError(
        f"Unsupported type for schema field: {shown}; {remedy}", annotation=annotation
    )
