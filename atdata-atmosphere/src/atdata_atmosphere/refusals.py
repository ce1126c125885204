"""What a server's refusal means: one table from its status and words to our errors."""

from __future__ import annotations

import json
from typing import Any

import httpx

from atdata.errors import (
    AtdataError,
    AuthenticationError,
    ConflictError,
    LimitExceededError,
    NotFoundError,
    StorageError,
)
from atdata.retries import wait_asked_for

LONGEST_ANSWER = 16_384
LONGEST_TEXT = 300

_BY_NAME: dict[str, type[AtdataError]] = {
    "RecordNotFound": NotFoundError,
    "RepoNotFound": NotFoundError,
    "BlobNotFound": NotFoundError,
    "HandleNotFound": NotFoundError,
    "DidNotFound": NotFoundError,
    "InvalidSwap": ConflictError,
    "PayloadTooLarge": LimitExceededError,
    "BlobTooLarge": LimitExceededError,
    "AuthenticationRequired": AuthenticationError,
    "AuthMissing": AuthenticationError,
    "AuthFactorTokenRequired": AuthenticationError,
    "ExpiredToken": AuthenticationError,
    "InvalidToken": AuthenticationError,
    "AccountTakedown": AuthenticationError,
    "AccountDeactivated": AuthenticationError,
}
_BY_STATUS: dict[int, type[AtdataError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    413: LimitExceededError,
}


def refusal(response: httpx.Response, url: str) -> AtdataError:
    """Return the error that says what an answer's status and body say.

    It has ``status``, the server's own ``error`` name, and ``retry_after`` where requests are
    limited: the seconds after which the server allows more, or None if it does not say.
    """
    return refusal_from(response.status_code, _start_of(response), response.headers, url)


def refusal_from(status: int, body: bytes, headers: Any, url: str) -> AtdataError:
    """Return the error for an answer that was read already; ``headers`` in lower case."""
    name, text = _words(body)
    kind = _kind(status, name, text)
    said = ": ".join(part for part in (name, text) if part) or f"HTTP status {status}"
    host, endpoint = httpx.URL(url).host, httpx.URL(url).path.rpartition("/")[2]
    message = f"{host} refuses {endpoint or 'this'} ({said})"
    details = {"status": status, "error": name, "url": url}
    if status == 429:
        wait = wait_asked_for(headers)
        when = f"in {wait:.0f} s" if wait is not None else "later"
        return StorageError(f"{message}; try again {when}", retry_after=wait, **details)
    return kind(message, **details)


def _kind(status: int, name: str, text: str) -> type[AtdataError]:
    # The reference PDS has no name for a missing blob or repository.
    if name == "InvalidRequest" and text.lower().startswith(("blob not found", "could not find")):
        return NotFoundError
    return _BY_NAME.get(name) or _BY_STATUS.get(status, StorageError)


def _start_of(response: httpx.Response) -> bytes:
    data = b""
    try:
        for part in response.iter_raw(LONGEST_ANSWER):
            data += part
            if len(data) >= LONGEST_ANSWER:
                break
    except httpx.HTTPError:
        # The status says enough.
        return b""
    return data


def _words(body: bytes) -> tuple[str, str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    return _shown(value.get("error")), _shown(value.get("message"))


def _shown(text: Any) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else "?" for c in text[:LONGEST_TEXT])
