"""Records of an index that cannot be read: passed over, and reported once by their keys.

Others may write the database too. One record that is not what it should be must not keep anybody
from the rest.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from atdata.errors import CorruptDataError, UnreadableRecordWarning
from atdata.index.bodies import check_body

if TYPE_CHECKING:
    from atdata.index.provider import Key

R = TypeVar("R")
T = TypeVar("T")

# What reading a JSON object of an unexpected form raises. FieldError and the like are ValueErrors.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_LONGEST = 300

_reported: set[tuple[str, str]] = set()


def shown(key: Key) -> str:
    """Return a key as messages show it, on one line and not too long."""
    text = ascii("/".join(key))[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:150]}...{text[-150:]}"


def unreadable(key: Key, reason: object) -> CorruptDataError:
    """Return the error that says which record cannot be read, and why."""
    if type(reason) is KeyError:
        reason = f"it has no {reason}"
    message = f"the record {shown(key)} of the index cannot be read: {reason!s:.300}"
    return CorruptDataError(message, key=key)


def report(place: object, key: Key, error: Exception) -> None:
    """Warn that a record is passed over, once in this process for each place and key."""
    # An index in memory looks like all others; whose it is, only the provider says.
    name = repr(place)
    seen = (f"{name} {id(place)}" if name.endswith("()") else name, repr(key))
    if seen not in _reported:
        _reported.add(seen)
        warnings.warn(f"{error}; it is passed over", UnreadableRecordWarning, stacklevel=3)


def readable(
    place: object,
    found: Iterable[tuple[Key, bytes]],
    read: Callable[[Key, bytes], T],
    passed: Callable[[Key, bytes], None] | None = None,
) -> Iterator[T]:
    """Yield what can be read of records; report the rest, and give it to ``passed``."""
    for key, body in found:
        try:
            one = read(key, body)
        except CorruptDataError as error:
            report(place, key, error)
            if passed is not None:
                passed(key, body)
        else:
            yield one


def first_readable(
    limit: int | None,
    fetch: Callable[[int | None], Sequence[R]],
    read: Callable[[R], T | None],
) -> list[T]:
    """Return the first ``limit`` of what a backend finds and ``read`` takes; None is passed over.

    A page that is filled up is fetched again, twice as long: so what is passed over never looks
    like the end, and costs in all no more than a few times its own length.
    """
    size = limit
    while True:
        rows = fetch(size)
        taken = [one for one in map(read, rows) if one is not None]
        if limit is None or size is None or len(taken) >= limit or len(rows) < size:
            return taken[:limit]
        size *= 2


def some_readable(
    place: object, found: list[tuple[Key, bytes]], read: Callable[[Key, bytes], T]
) -> list[T]:
    """Return what can be read of records that were asked for; an error if that is nothing."""
    passed: list[tuple[Key, CorruptDataError]] = []
    read_ones: list[T] = []
    for key, body in found:
        try:
            read_ones.append(read(key, body))
        except CorruptDataError as error:
            passed.append((key, error))
    if passed and not read_ones:
        raise passed[0][1]
    for key, problem in passed:
        report(place, key, problem)
    return read_ones


def read_object(body: bytes, loads: Callable[[bytes], Any] = json.loads) -> dict[str, Any]:
    """Return the JSON object that a body is; one of `MALFORMED` if it is not."""
    # What no provider takes may stand there all the same: text without a UTF-8 form.
    if b"\\u" in body:
        check_body(body)
    value = loads(body)
    if not isinstance(value, dict):
        raise TypeError(f"it is a JSON {type(value).__name__}, not an object")
    return value
