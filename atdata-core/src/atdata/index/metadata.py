"""What may be stored beside a dataset or schema: whatever JSON gives back as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from atdata.errors import FieldError

MAX_DEPTH = 64


def to_json_object(metadata: Mapping[str, Any] | None, owner: str) -> dict[str, Any] | None:
    """Return a copy of metadata in JSON's own types; ``FieldError`` names what JSON cannot hold.

    numpy scalars become numbers and tuples lists. Numbers are finite and of 64 bits at most.
    """
    if metadata is None:
        return None
    try:
        return _to_object(metadata, "metadata", 0)
    except _NotJSONError as error:
        raise FieldError(
            f"{error.where} of {owner!r:.220} is {error.reason}; use str, int, float, bool, None, "
            "lists, and dicts with str keys",
            owner=owner,
            where=error.where,
        ) from None


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says, in which a database may have written a float as an integer."""
    return json.loads(text, parse_int=_read_integer)


def _read_integer(digits: str) -> float:
    number = int(digits)
    if _fits(number):
        return number
    nearest = float(digits)
    # The shortest digits of a float are those that were written; its value may have others.
    is_float = math.isfinite(nearest) and Decimal(repr(nearest)) == number
    return nearest if is_float else number


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**64


class _NotJSONError(Exception):
    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason


def _to_json(value: Any, where: str, depth: int) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value, where)
    if isinstance(value, int | float):
        return _checked_number(value, where)
    if depth >= MAX_DEPTH:
        raise _NotJSONError(where[:200], f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return _to_object(value, where, depth + 1)
    if isinstance(value, list | tuple):
        return [_to_json(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise _NotJSONError(where, f"of type {type(value).__name__}")


def _to_object(value: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _NotJSONError(where, f"of type {type(value).__name__}, not a dict")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _NotJSONError(where, f"a dict with a key of type {type(key).__name__}")
        made[_checked_text(key, where)] = _to_json(item, f"{where}[{key!r:.80}]", depth)
    return made


def _checked_text(text: str, where: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _NotJSONError(where, "text with a NUL or lone surrogate")
    return str(text)


def _checked_number(number: float, where: str) -> float:
    if isinstance(number, float):
        if not math.isfinite(number):
            raise _NotJSONError(where, f"{number}, which JSON has no number for")
    elif not _fits(number):
        raise _NotJSONError(where, "an integer beyond 64 bits")
    return number
