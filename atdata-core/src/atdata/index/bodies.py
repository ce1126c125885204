"""What a record's value may be, and when two of them are equal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from atdata.errors import CorruptDataError


def check_body(body: bytes) -> None:
    """Raise `CorruptDataError` unless ``body`` is a JSON object that every backend keeps.

    Refused are: bytes that are not UTF-8, anything but an object at the root, a name twice in one
    object, NaN, numbers beyond a 64-bit float, and strings with NUL or lone surrogates, which
    native JSON columns cannot hold.
    """
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_to_object,
            parse_float=_to_finite,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(f"a record must be one JSON object: {error}") from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise CorruptDataError(f"a record must be one JSON object, this one is a JSON {kind}")
    # Only an escape can bring them in: raw ones are no valid UTF-8 or JSON.
    if b"\\u" in body:
        _check_strings(value)


def is_same_body(left: bytes, right: bytes) -> bool:
    """Tell whether two values are equal JSON, whatever the order of names and spacing.

    Numbers are compared by their decimal value, so 1, 1.0 and 1e0 are equal, and 1 is not true.
    What is not JSON equals itself alone.
    """
    if left == right:
        return True
    try:
        return bool(_to_comparable(left) == _to_comparable(right))
    except (ValueError, ArithmeticError, RecursionError):
        return False


def _to_comparable(body: bytes) -> Any:
    # The tuple keeps numbers apart from booleans, which Python holds equal to 0 and 1.
    def number(text: str) -> tuple[Decimal]:
        return (Decimal(text),)

    return json.loads(body, parse_int=number, parse_float=number)


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def _to_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond a 64-bit float")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _check_strings(value: Any) -> None:
    for text in _iter_strings(value):
        if "\0" in text or not _is_utf8(text):
            message = "a record holds a string with NUL or a lone surrogate; remove it"
            raise CorruptDataError(message, text=text)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _iter_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _iter_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_strings(item)
