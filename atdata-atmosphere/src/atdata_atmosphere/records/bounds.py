"""What a record may hold at all: checked before one is sent, and while one is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from atdata.errors import CorruptDataError, FieldError, LimitExceededError

# A server takes a record of 900 kB and refuses one of 1.1 MB.
MAX_RECORD_BYTES = 1_000_000
MAX_DEPTH = 32
# Beyond this, JSON readers of other languages change integers silently.
MAX_INT = 2**53 - 1


def check_record(record: Mapping[str, Any]) -> None:
    """Refuse a record that no server would take, or that would not come back as it was.

    Raises:
        FieldError: it holds a float, an integer beyond 53 bits, or what JSON cannot hold.
        LimitExceededError: it is larger or deeper than servers accept.
    """
    _check(record, str(record.get("$type", "record")), 0)
    size = len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_RECORD_BYTES:
        raise LimitExceededError(
            f"a record of {size} bytes is more than the {MAX_RECORD_BYTES} that servers accept; "
            "split the dataset, write its URLs as one brace pattern, or shorten the metadata",
            size=size,
        )


def check_open_object(value: Mapping[str, Any], where: str) -> None:
    """Check an object whose keys a user chose: none may look like a part of the protocol."""
    _check(value, where, 0, open_keys=True)


def _check(value: Any, where: str, depth: int, *, open_keys: bool = False) -> None:
    if depth > MAX_DEPTH:
        raise LimitExceededError(
            f"{where[:200]} is nested more than {MAX_DEPTH} levels deep", where=where
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_key(key, where, open_keys=open_keys)
            _check(item, f"{where}.{key:.80}", depth + 1, open_keys=open_keys)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check(item, f"{where}[{number}]", depth + 1, open_keys=open_keys)
    elif reason := _why_not_scalar(value):
        raise FieldError(f"{where[:300]} {reason}", where=where)


def _check_key(key: object, where: str, *, open_keys: bool) -> None:
    if not isinstance(key, str) or not _is_text(key):
        raise FieldError(f"{where[:300]} has a key that is not text", where=where)
    if open_keys and key.startswith("$"):
        raise FieldError(
            f"{where[:300]} has the key {key!r:.80}; keys with $ belong to the protocol",
            where=where,
        )


def _why_not_scalar(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return None if _is_text(value) else "holds a NUL or a lone surrogate"
    if isinstance(value, float):
        return f"is the float {value!r}, which records cannot hold; write it as text or integer"
    if not isinstance(value, int):
        return f"is of type {type(value).__name__}; records hold text, integers, lists and maps"
    return None if abs(value) <= MAX_INT else "is an integer beyond 53 bits; write it as text"


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def check_length(text: str, limit: int, where: str) -> str:
    """Return text of at most so many bytes of UTF-8; ``LimitExceededError`` names the field."""
    if not isinstance(text, str):
        raise FieldError(f"{where} is text, not {type(text).__name__}", where=where)
    if len(text.encode("utf-8", "surrogatepass")) > limit:
        raise LimitExceededError(
            f"{where} is longer than the {limit} bytes it may have in a record", where=where
        )
    return text


class Reader:
    """Takes values out of one untrusted record; ``CorruptDataError`` names record and field."""

    def __init__(self, record: Mapping[str, Any], where: str) -> None:
        self.record = record
        self.where = where

    def text(self, key: str, limit: int = 10_000) -> str:
        """Return a text that must be there and not be empty."""
        value = self.optional_text(key, limit)
        if not value:
            raise self.corrupt(key, "is missing or empty")
        return value

    def optional_text(self, key: str, limit: int = 10_000) -> str | None:
        """Return a text, None where there is none."""
        value = self.record.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not _is_text(value):
            raise self.corrupt(key, f"is {_shown(value)}, not text")
        if len(value) > limit:
            raise self.corrupt(key, f"is longer than {limit} characters")
        return value

    def texts(self, key: str, limit: int) -> list[str]:
        """Return a list of texts, empty where there is none."""
        values = self.items(key, limit)
        if not all(isinstance(value, str) and _is_text(value) for value in values):
            raise self.corrupt(key, "is not a list of texts")
        return list(values)

    def items(self, key: str, limit: int) -> Sequence[Any]:
        """Return a list of at most so many items, empty where there is none."""
        values = self.record.get(key)
        if values is None:
            return []
        if not isinstance(values, list | tuple) or len(values) > limit:
            raise self.corrupt(key, f"is not a list of at most {limit} items")
        return values

    def optional_count(self, key: str) -> int | None:
        """Return a number from 0 up, None where there is none."""
        value = self.record.get(key)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value <= MAX_INT:
            raise self.corrupt(key, f"is {_shown(value)}, not a number from 0 up")
        return value

    def below(self, key: str) -> Reader:
        """Return a reader of the map under a key."""
        return self.of(self.record.get(key), key)

    def of(self, value: object, key: str) -> Reader:
        """Return a reader of a map that was found somewhere below a key."""
        if not isinstance(value, Mapping):
            raise self.corrupt(key, f"is {_shown(value)}, not a map")
        return Reader(value, f"{self.where}.{key}")

    def corrupt(self, key: str, reason: str) -> CorruptDataError:
        """Return the error that says what is wrong with a field."""
        return CorruptDataError(f"{self.where}.{key} {reason}", field=f"{self.where}.{key}")


def _shown(value: object) -> str:
    return "missing" if value is None else f"{value!r:.80}"
