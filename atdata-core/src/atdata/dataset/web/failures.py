"""What goes wrong on the web, as errors of ours: what may pass, and what is final."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, NoReturn

from urllib3.exceptions import (
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as LateError

from atdata.errors import AtdataError, AuthenticationError, ShardNotFoundError, StorageError
from atdata.retries import may_pass, wait_asked_for

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_GONE = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407})


class PassingError(Exception):
    """What may go well the next time: the error if it never does, and how long to wait if known."""

    def __init__(self, error: AtdataError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


def refuse(response: BaseHTTPResponse, shown: str) -> NoReturn:
    """Raise what a status other than success means."""
    status = response.status
    if status in _GONE:
        raise ShardNotFoundError(f"there is no shard at {shown}", shard=shown, status=status)
    if status in _DENIED:
        raise AuthenticationError(
            f"{shown} cannot be read: HTTP status {status}; give a URL that is signed or has a "
            "login, or a new one if it has expired",
            url=shown,
            status=status,
        )
    error = StorageError(
        f"{shown} cannot be read: HTTP status {status}; try again, or ask who keeps it",
        url=shown,
        status=status,
    )
    if may_pass(status):
        raise PassingError(error, wait_asked_for(response.headers))
    raise error


def unreachable(error: Exception, shown: str) -> Exception:
    """Return what to raise, chained to nothing, for an exception of urllib3 or the system.

    Theirs may hold the URL, and with it what is secret.
    """
    message = f"{shown} cannot be read: {_reason(error)}; check the address and the network"
    ours = StorageError(message, url=shown)
    return ours if _is_final(error) else PassingError(ours)


def cut(shown: str, at: int, error: Exception | None = None) -> PassingError:
    """Return what to raise where a body ends too early."""
    reason = f" ({_reason(error)})" if error is not None else ""
    message = f"{shown} cannot be read: it breaks off at byte {at:,}{reason}; try again"
    return PassingError(StorageError(message, url=shown, offset=at))


def changed(shown: str) -> StorageError:
    """Return the error for another version than the one that was begun."""
    message = f"{shown} changed while it was read; read it again from its start"
    return StorageError(message, url=shown)


def too_busy(shown: str, wait: float) -> StorageError:
    """Return the error for a server that asks for a wait which nobody expects of a read."""
    return StorageError(
        f"{shown} cannot be read: its server asks to wait {wait:,.0f} s; try again after that",
        url=shown,
        retry_after=wait,
    )


def _is_final(error: Exception) -> bool:
    cause = _cause(error)
    if isinstance(cause, socket.gaierror):
        return cause.errno != socket.EAI_AGAIN
    return isinstance(cause, ssl.SSLCertVerificationError)


def _reason(error: Exception) -> str:
    cause = _cause(error)
    if isinstance(error, ProxyError):
        return f"the proxy fails ({_words(cause)})"
    if isinstance(error, NameResolutionError) or isinstance(cause, socket.gaierror):
        return "the host is unknown"
    if isinstance(error, SSLError):
        return f"TLS fails ({_words(cause)})"
    # One that could not be made is late as well, to urllib3.
    if isinstance(error, LateError | TimeoutError) and not isinstance(error, NewConnectionError):
        return "the server does not answer in time"
    return _words(cause)


def _cause(error: Exception) -> BaseException:
    """Return what the system said first."""
    deepest: BaseException = error
    for _ in range(8):
        inner = deepest.__cause__ or deepest.__context__
        inner = inner or next((arg for arg in deepest.args if isinstance(arg, Exception)), None)
        if inner is None:
            break
        deepest = inner
    return deepest


def _words(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if type(cause) is OSError:
        # What a proxy answers that opens no tunnel.
        return "".join(c if c.isprintable() else "?" for c in str(cause)[:100])
    return type(cause).__name__


WEB_ERRORS = (HTTPError, OSError)
