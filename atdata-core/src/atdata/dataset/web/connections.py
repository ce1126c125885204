"""Connections to web servers: kept open between requests, in the process that opened them."""

from __future__ import annotations

import http.client
import io
import os
import ssl
import time
from typing import Any

from urllib3 import (
    BaseHTTPResponse,
    HTTPConnectionPool,
    HTTPSConnectionPool,
    PoolManager,
    ProxyManager,
    Timeout,
)
from urllib3.connection import HTTPConnection, HTTPSConnection

from atdata.dataset.web.address import Address
from atdata.dataset.web.proxies import Proxy
from atdata.forks import ForkLock

CONNECT_SECONDS = 30.0
# A server has this long for so many bytes, or for the whole head of an answer.
STALL_SECONDS = 120.0
PROGRESS = 64 << 10
# What stays open when it is idle; each stream that is open has a connection of its own.
_SERVERS = 32
_IDLE = 8
# urllib3 normalises the URLs that it is given, so what is asked for goes beside them.
_TARGET = ":path"


class _Paced(io.RawIOBase):
    """What a server sends, as long as that comes at a pace; the time between reads is free."""

    def __init__(self, sock: Any, stream: io.RawIOBase) -> None:
        self._sock = sock
        self._stream = stream
        self.is_in_head = True
        self._start_over()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._left
        if left <= 0:
            raise TimeoutError("the server sends too slowly")
        self._sock.settimeout(left)
        started = time.monotonic()
        count = self._stream.readinto(buffer)
        if count == 0 and self.is_in_head:
            # http.client takes what has come of the head for all of it.
            raise ConnectionResetError("the head ends too early")
        self._left -= time.monotonic() - started
        self._missing -= count or 0
        if self._missing <= 0:
            self._start_over()
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _start_over(self) -> None:
        self._left, self._missing = STALL_SECONDS, PROGRESS


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._paced = _Paced(sock, self.fp.detach())
        self.fp: Any = io.BufferedReader(self._paced)

    def begin(self) -> None:
        super().begin()
        self._paced.is_in_head = False


class _PlainConnection(HTTPConnection):
    """Asks for the very bytes that were meant; what urllib3 logs has none of them."""

    response_class: Any = _PacedResponse
    _target = ""

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any
    ) -> None:
        fields = dict(headers)
        self._target = fields.pop(_TARGET)
        super().request(method, url, body, fields, **options)

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:  # noqa: ARG002
        super().putrequest(method, self._target, *args, **options)


class _SecureConnection(_PlainConnection, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Pools:
    """The pools of one process, by the proxy that leads to the servers."""

    def __init__(self) -> None:
        # 20 ms, so not for each connection.
        self._trusted = ssl.create_default_context()
        self._managers: dict[Proxy | None, PoolManager] = {}

    def manager(self, proxy: Proxy | None) -> PoolManager:
        known = self._managers.get(proxy)
        return known or self._managers.setdefault(proxy, self._connect(proxy))

    def _connect(self, proxy: Proxy | None) -> PoolManager:
        options: dict[str, Any] = {
            "num_pools": _SERVERS,
            "maxsize": _IDLE,
            "ssl_context": self._trusted,
            "timeout": Timeout(connect=CONNECT_SECONDS, read=STALL_SECONDS),
        }
        if proxy is None:
            manager = PoolManager(**options)
        else:
            login = {"Proxy-Authorization": proxy.login} if proxy.login else {}
            manager = ProxyManager(proxy.url, proxy_headers=login, **options)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager


# By process, and whose certificates count there. A child leaves alone what it inherited: the
# connections are its parent's, and a thread that it lacks may hold the lock of a pool.
_pools: dict[tuple[Any, ...], _Pools] = {}
# A child forked while OpenSSL reads certificates would wait for OpenSSL's own lock for ever.
_making = ForkLock()


def send(
    address: Address, headers: dict[str, str], *, proxy: Proxy | None, pinned: str | None = None
) -> BaseHTTPResponse:
    """Ask a server once; the body is not read, and a redirect is not followed.

    ``pinned`` is the IP address to connect to in place of looking the host up; certificates are
    checked for the host all the same. Raises what urllib3 does. Safe to use from several threads,
    and in children that are forked afterwards.
    """
    pool = (
        _own_pools()
        .manager(proxy)
        .connection_from_host(
            pinned or address.host,
            address.port,
            address.scheme,
            {"server_hostname": address.host} if pinned and address.scheme == "https" else None,
        )
    )
    # A proxy that forwards has to know where to.
    is_forwarded = proxy is not None and address.scheme == "http"
    target = address.origin + address.target if is_forwarded else address.target
    fields = {"Host": address.server, "Accept-Encoding": "identity", "User-Agent": "atdata"}
    if address.login is not None:
        fields["Authorization"] = address.login
    return pool.urlopen(
        "GET",
        # Also in urllib3's log, so without what is asked for.
        address.origin + "/",
        headers={**fields, **headers, _TARGET: target},
        retries=False,
        redirect=False,
        assert_same_host=False,
        preload_content=False,
        decode_content=False,
    )


def _own_pools() -> _Pools:
    key = os.getpid(), os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    with _making:
        return _pools.get(key) or _pools.setdefault(key, _Pools())
