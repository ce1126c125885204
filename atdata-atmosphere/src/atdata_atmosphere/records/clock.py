"""The time as records have it."""

from __future__ import annotations

import datetime as dt


def now() -> str:
    """Return the time in ISO 8601 with microseconds and offset, which sorts as text."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
