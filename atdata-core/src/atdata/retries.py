"""How long to wait before asking again: as the server says, never longer than the caller would."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

ATTEMPTS = 5
FIRST_WAIT = 0.5
LONGEST_OWN_WAIT = 30.0

# What a server that has no time says, and what no later server will understand either.
_BUSY = frozenset({408, 425, 429})
_FINAL = frozenset({501, 505, 511})


def may_pass(status: int) -> bool:
    """Tell whether a request that was answered with this HTTP status may succeed later."""
    return status in _BUSY or (status >= 500 and status not in _FINAL)


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait, or None if it does not say.

    ``Retry-After`` counts first. ``RateLimit-Reset`` is a point in time on the server's clock, so
    it is compared with the answer's ``Date``; a number too small for a time is taken for seconds.
    """
    seconds = _retry_after(headers)
    return _until_reset(headers) if seconds is None else seconds


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _moment(value)
        return None if moment is None else max(moment - _now(headers), 0.0)
    return max(seconds, 0.0) if isfinite(seconds) else None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    try:
        reset = float(headers["ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    if not isfinite(reset):
        return None
    is_duration = reset < 1e9
    return max(reset if is_duration else reset - _now(headers), 0.0)


def _now(headers: Mapping[str, str]) -> float:
    moment = _moment(headers.get("date", ""))
    return time.time() if moment is None else moment


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def own_wait(attempt: int) -> float:
    """Return the seconds to wait where the server says nothing: doubling, capped, with jitter."""
    return random.uniform(0.5, 1.0) * min(FIRST_WAIT * 2.0**attempt, LONGEST_OWN_WAIT)


def jittered(seconds: float) -> float:
    """Return a wait a little longer than asked for, so that a crowd does not come back at once."""
    return seconds + random.uniform(0.0, min(0.1 * seconds + 0.1, 5.0))
