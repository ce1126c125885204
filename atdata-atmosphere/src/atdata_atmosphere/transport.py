"""How bytes reach servers that may be hostile: checked addresses, a bound on time, no surprises."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import httpcore
import httpx

from atdata.errors import LimitExceededError, UntrustedInputError
from atdata.trust import addresses_of
from atdata_atmosphere.reach import Reach

SLOWEST = 16_384
SLICE = 65_536
CONNECTIONS = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=30)


@dataclass
class _Pace:
    """The time that an exchange may still take: some seconds, and more for what it moves."""

    seconds: float
    started: float = field(default_factory=time.monotonic)
    moved: int = 0

    def remaining(self) -> float:
        return self.started + self.seconds + self.moved / SLOWEST - time.monotonic()


# An exchange runs in one thread, and no argument leads from a request down to its socket.
_current = threading.local()


def _limit(timeout: float | None, late: type[Exception]) -> float:
    pace: _Pace | None = getattr(_current, "pace", None)
    if pace is None:
        return timeout or 0.0
    remaining = pace.remaining()
    if remaining <= 0:
        raise late("the exchange takes too long")
    return remaining if timeout is None else min(timeout, remaining)


def _count(moved: int) -> None:
    pace: _Pace | None = getattr(_current, "pace", None)
    if pace is not None:
        pace.moved += moved


class _PacedStream(httpcore.NetworkStream):
    """A socket on which the whole exchange is timed, not each read alone."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _limit(timeout, httpcore.ReadTimeout))
        _count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), SLICE):
            part = bytes(view[start : start + SLICE])
            self._stream.write(part, _limit(timeout, httpcore.WriteTimeout))
            _count(len(part))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _limit(timeout, httpcore.ConnectTimeout)
        return _PacedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to the very addresses that were checked."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            allow_private = self._reach.allows_private(host, port)
            addresses = addresses_of(host, port, allow_private=allow_private)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} is unknown") from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            seconds = _limit(timeout, httpcore.ConnectTimeout)
            try:
                return _PacedStream(
                    self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class CheckedTransport(httpx.HTTPTransport):
    """The way to servers named by strangers.

    Requests go to public addresses over https, and to what else is in reach. Each, with its
    answer, must end within ``seconds`` and what it moves at 16 kB/s. An answer of more than
    ``max_bytes`` is refused, and so are redirects of anything but a GET, for they would carry a
    body to somebody else. Safe to share between threads.
    """

    def __init__(self, reach: Reach, *, seconds: float, max_bytes: int | None = None) -> None:
        certificates = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        super().__init__(verify=certificates)
        self._reach = reach
        self._seconds = seconds
        self._max_bytes = max_bytes
        # httpx offers no way to say through which sockets its pool connects.
        self._pool = httpcore.ConnectionPool(
            ssl_context=certificates,
            max_connections=CONNECTIONS.max_connections,
            max_keepalive_connections=CONNECTIONS.max_keepalive_connections,
            keepalive_expiry=CONNECTIONS.keepalive_expiry,
            network_backend=_CheckedBackend(reach),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's body is timed with it."""
        scheme, host = request.url.scheme, request.url.host
        is_plain = scheme == "http" and self._reach.allows_plain(host, request.url.port)
        if scheme != "https" and not is_plain:
            message = f"{host} is not asked over {scheme or 'nothing'}, only over https"
            raise UntrustedInputError(message, host=host)
        pace = _Pace(self._seconds)
        with _paced(pace):
            response = super().handle_request(request)
        if response.has_redirect_location:
            return _without_body(response, request)
        body = cast("httpx.SyncByteStream", response.stream)
        response.stream = _PacedBody(body, pace, self._max_bytes)
        return response


@cache
def _trusted(*_: str | None) -> ssl.SSLContext:
    """Return whose certificates count, which the environment may say, and httpx reads there."""
    # 20 ms, and many clients are made.
    return httpx.create_ssl_context()


def _without_body(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    """Let httpx follow a redirect without reading what may come with it."""
    response.close()
    if request.method != "GET":
        message = f"{request.url.host} sends what was for it elsewhere, which is refused"
        raise UntrustedInputError(message, host=request.url.host)
    headers = {"location": response.headers["location"]}
    return httpx.Response(response.status_code, headers=headers)


class _PacedBody(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, pace: _Pace, max_bytes: int | None) -> None:
        self._stream = stream
        self._pace = pace
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        parts, total = iter(self._stream), 0
        while True:
            with _paced(self._pace):
                part = next(parts, None)
            if part is None:
                return
            total += len(part)
            if self._max_bytes is not None and total > self._max_bytes:
                message = f"a server answers with more than {self._max_bytes:,} bytes"
                raise LimitExceededError(message, limit=self._max_bytes)
            yield part

    def close(self) -> None:
        self._stream.close()


class _paced:  # noqa: N801 -- reads as the function it is
    def __init__(self, pace: _Pace) -> None:
        self._pace = pace

    def __enter__(self) -> None:
        self._outer = getattr(_current, "pace", None)
        _current.pace = self._pace

    def __exit__(self, *_: object) -> None:
        _current.pace = self._outer
