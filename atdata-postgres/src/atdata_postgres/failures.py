"""What goes wrong on PostgreSQL: what is tried again, and what users are told."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from atdata.errors import (
    AtdataError,
    ConflictError,
    CorruptDataError,
    LimitExceededError,
    StorageError,
)
from atdata_postgres.connections import Address

T = TypeVar("T")

RECOVERY_SECONDS = 15.0
ATTEMPTS = 5
SHORTEST_WAIT, LONGEST_WAIT = 0.02, 0.5

# serialization_failure, deadlock_detected, unique_violation: look again, the others are through.
_CONTENDED = frozenset({"40001", "40P01", "23505"})
# too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout,
# idle_in_transaction_session_timeout
_INTERRUPTED = frozenset({"53300", "57P01", "57P02", "57P03", "57P05", "25P03"})

_UNREACHABLE = "check that the server runs, and the host, port, database, user and password given"
_TAKEN = "rename what bears that name, or give another schema with search_path"
_REMEDIES = {
    "25006": "it is read-only, perhaps a replica; write to the primary",
    "3F000": "create the schema that search_path names, or ask for rights to use it",
    "42710": _TAKEN,
    "42P07": _TAKEN,
    "42501": "ask its owner for the rights to read and write the atdata tables",
    "42P01": "the table was dropped; open the index again",
    "53100": "free some space on the server",
    "55P03": "another session keeps it locked; try again",
    "57014": "the server cancelled the statement; try again",
}


def retry(act: Callable[[], T], *, is_opening: bool = False) -> T:
    """Call until it succeeds: some times against other writers, some time against lost servers.

    ``act`` must be fit for repetition even where an earlier call did more than it could report. A
    server that cannot be reached while an index is opened is nothing to wait for.
    """
    deadline: float | None = None
    attempt = 0
    while True:
        attempt += 1
        try:
            return act()
        except (DBAPIError, psycopg.Error) as error:
            if is_lost(error) and not (is_opening and _is_unreachable(error)):
                deadline = deadline or time.monotonic() + RECOVERY_SECONDS
                if time.monotonic() > deadline:
                    raise
            elif _state(error) not in _CONTENDED or attempt >= ATTEMPTS:
                raise
        time.sleep(_wait(attempt))


def translate(error: SQLAlchemyError | psycopg.Error, address: Address) -> AtdataError:
    """Return the error of ours that says what PostgreSQL's says, with the place and the remedy."""
    state = _state(error)
    reason = address.redact(_words(error))
    if state in _CONTENDED:
        message = f"other writers to the index {address.location} were faster; try again"
        return ConflictError(message)
    if state is not None and state.startswith("22"):
        message = f"PostgreSQL cannot hold this record ({reason}); change the value"
        return CorruptDataError(message)
    if state is not None and state.startswith("54"):
        return LimitExceededError(f"PostgreSQL cannot hold this record ({reason}); make it smaller")
    remedy = _REMEDIES.get(state or "", "the server's log may say more")
    if isinstance(error, PoolTimeoutError):
        reason, remedy = "all its connections are at work", "try again"
    if state is None and _is_unreachable(error):
        remedy = _UNREACHABLE
    return StorageError(
        f"the index {address.location} failed: {reason}; {remedy}", location=address.location
    )


def is_lost(error: Exception) -> bool:
    """Tell whether a session that was there has ended, or there is none to be had just now."""
    state = _state(error) or ""
    return _is_unreachable(error) or state in _INTERRUPTED or state.startswith("08")


def _is_unreachable(error: Exception) -> bool:
    """Tell whether there is no connection, which the server itself could have explained."""
    original = _original(error)
    return isinstance(original, psycopg.OperationalError) and original.sqlstate is None


def _state(error: Exception) -> str | None:
    original = _original(error)
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def _words(error: Exception) -> str:
    """Return what went wrong without the statement, hints and circumstances, where it is known."""
    original = _original(error)
    said = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return said or str(original)


def _original(error: Exception) -> Exception:
    """Return the driver's error where SQLAlchemy wrapped one."""
    original: Exception | None = getattr(error, "orig", None)
    return original or error


def _wait(attempt: int) -> float:
    """Return seconds to wait, so that those who met do not meet again."""
    longest: float = min(LONGEST_WAIT, SHORTEST_WAIT * 2**attempt)
    return random.uniform(longest / 2, longest)
