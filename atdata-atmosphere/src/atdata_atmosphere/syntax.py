"""Identifiers of the AT Protocol: DIDs, handles, NSIDs, record keys and TIDs, as it spells them."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time

from atdata.errors import InvalidNameError

_DID = re.compile(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HANDLE = re.compile(rf"(?:{_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?")
_NSID = re.compile(
    r"[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    rf"(?:\.{_LABEL})+"
    r"\.[a-zA-Z][a-zA-Z0-9]{0,62}"
)
_RECORD_KEY = re.compile(r"[a-zA-Z0-9_~.:-]{1,512}")
_TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"

MAX_DID = 2048
MAX_HANDLE = 253
MAX_NSID = 317


def is_did(text: str) -> bool:
    """Tell whether a text is spelled as a DID, of whatever method."""
    return len(text) <= MAX_DID and _DID.fullmatch(text) is not None


def is_handle(text: str) -> bool:
    """Tell whether a text is spelled as a handle."""
    return len(text) <= MAX_HANDLE and _HANDLE.fullmatch(text) is not None


def is_nsid(text: str) -> bool:
    """Tell whether a text names a lexicon."""
    if len(text) > MAX_NSID or _NSID.fullmatch(text) is None:
        return False
    authority = text.rpartition(".")[0]
    return len(authority) <= MAX_HANDLE


def is_record_key(text: str) -> bool:
    """Tell whether a text can be the key of a record."""
    return text not in {".", ".."} and _RECORD_KEY.fullmatch(text) is not None


def is_tid(text: str) -> bool:
    """Tell whether a text is a timestamp identifier."""
    return _TID.fullmatch(text) is not None


def checked_did(text: str) -> str:
    """Return a DID of a method that the protocol supports, or raise `InvalidNameError`."""
    if not is_did(text) or not text.startswith(("did:plc:", "did:web:")):
        message = f"{text[:200]!r} is no DID that can be looked up; give a did:plc or a did:web"
        raise InvalidNameError(message, name=text)
    return text


def checked_handle(text: str) -> str:
    """Return a handle in lower case, without a leading ``@``, or raise `InvalidNameError`."""
    handle = text.removeprefix("@").lower()
    if not is_handle(handle):
        message = f"{text[:200]!r} is no handle; one looks like alice.example.com"
        raise InvalidNameError(message, name=text)
    return handle


def checked_nsid(text: str) -> str:
    """Return the name of a collection, or raise `InvalidNameError`."""
    if not is_nsid(text):
        message = f"{text[:200]!r} is no collection; one looks like com.example.thing"
        raise InvalidNameError(message, name=text)
    return text


def checked_record_key(text: str) -> str:
    """Return the key of a record, or raise `InvalidNameError`."""
    if not is_record_key(text):
        message = f"{text[:200]!r} is no record key; use letters, digits and . _ ~ : - only"
        raise InvalidNameError(message, name=text)
    return text


_clock_id = secrets.randbelow(1024)
_newest = 0
_ticking = threading.Lock()


def new_tid() -> str:
    """Return a TID later than all that this process has made before.

    Safe for threads, and for a child after a fork, whose TIDs tell it from its parent.
    """
    global _newest  # noqa: PLW0603 -- one clock per process
    with _ticking:
        _newest = max(time.time_ns() // 1000, _newest + 1)
        number = _newest << 10 | _clock_id
    return "".join(_SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))


def _continue_in_child() -> None:
    global _clock_id  # noqa: PLW0603 -- see above
    # Of the 1023 others, so that parent and child never make the same one.
    _clock_id = (_clock_id + 1 + secrets.randbelow(1023)) % 1024
    _ticking.release()


# A fork while another thread holds the lock would otherwise leave the child locked for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_ticking.acquire,
        after_in_parent=_ticking.release,
        after_in_child=_continue_in_child,
    )
