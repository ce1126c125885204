"""Which classes cannot be sample types, whatever their fields: found where they are defined."""

from __future__ import annotations

import enum
import inspect

from atdata.errors import SampleTypeError
from atdata.samples.dictsample import DictSample

_HEAP_TYPE = 1 << 9  # the flag that CPython sets on classes made by a class statement
_REMEDY = "write a plain class with these fields"
# What tells classes of other libraries whose instances keep their values in ways of their own.
_FOREIGN = {"__pydantic_fields_set__": "a pydantic model", "__struct_fields__": "a msgspec.Struct"}


def check_class(cls: type) -> None:
    """Refuse a class that could not be constructed from its fields, or holds more than them.

    Raises:
        SampleTypeError: it is such a class; the error says what to write instead.
    """
    if isinstance(cls, enum.EnumMeta):
        raise _refused(cls, "is an enum", _REMEDY)
    for marker, kind in _FOREIGN.items():
        if hasattr(cls, marker):
            raise _refused(cls, f"is {kind}", _REMEDY)
    if issubclass(cls, DictSample):
        raise _refused(cls, "extends DictSample, which has no fields of its own", _REMEDY)
    if getattr(cls, "_is_protocol", False):
        raise _refused(cls, "is a protocol", _REMEDY)
    for base in cls.__mro__[:-1]:
        if not base.__flags__ & _HEAP_TYPE:
            what = f"extends {base.__name__}, whose own content would not be stored"
            raise _refused(cls, what, _REMEDY)


def check_construction(cls: type, names: list[str]) -> None:
    """Refuse a dataclass that cannot be made of the fields of these names."""
    if cls.__init__ is object.__init__ and names:  # type: ignore[misc]
        raise _refused(cls, "has no __init__ for its fields", "leave out init=False")
    try:
        inspect.signature(cls.__init__).bind(cls, **dict.fromkeys(names))  # type: ignore[misc]
    except TypeError:
        what = "has an __init__ that does not take its fields by name"
        raise _refused(cls, what, "leave it out, and use __post_init__") from None


def _refused(cls: type, what: str, remedy: str) -> SampleTypeError:
    return SampleTypeError(f"{cls.__name__} {what}, and cannot be a sample type; {remedy}")
