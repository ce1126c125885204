"""A proxy before a PDS and its PLC directory that does what healthy servers do not."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from tests.services.pds_server import PdsServer

Fault = Callable[["Exchange"], None]
# Headers that belong to one connection, or that this proxy sets itself.
_OWN = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    size: int


@dataclass(frozen=True)
class Reply:
    """An answer of the server behind."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class FaultProxy:
    """The proxy's address, what it was asked, and the faults it is to commit."""

    def __init__(self, behind: PdsServer) -> None:
        self.behind = behind
        self.url = ""
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self._faults: list[tuple[str, Fault, int]] = []
        self._lock = threading.Lock()

    def commit(self, endpoint: str, fault: Fault, times: int = 1) -> None:
        """Commit a fault the next times that a path with ``endpoint`` in it is asked for."""
        with self._lock:
            self._faults.append((endpoint, fault, times))

    def heal(self) -> None:
        """Commit no more faults."""
        with self._lock:
            self._faults.clear()

    def count(self, endpoint: str) -> int:
        """Return how often a path with ``endpoint`` in it was asked for."""
        return sum(endpoint in one.path for one in list(self.asked))

    def fault_for(self, asked: Asked) -> Fault:
        """Note a request and return what to do with it."""
        with self._lock:
            self.asked.append(asked)
            for place, (endpoint, fault, times) in enumerate(self._faults):
                if endpoint in asked.path:
                    left = [(endpoint, fault, times - 1)] if times > 1 else []
                    self._faults[place : place + 1] = left
                    return fault
        return Exchange.pass_on


@dataclass
class Exchange:
    """One request at the proxy, and the ways to deal with it."""

    handler: BaseHTTPRequestHandler
    proxy: FaultProxy
    asked: Asked
    body: bytes = field(repr=False)

    def forward(self) -> Reply:
        """Have the server behind act, and return its answer, in which it has our address."""
        behind, path = self.proxy.behind, self.asked.path
        origin = behind.url if path.startswith("/xrpc/") else behind.plc_url
        headers = {name: text for name, text in self.asked.headers.items() if name not in _OWN}
        answer = httpx.request(
            self.asked.method, origin + path, headers=headers, content=self.body, timeout=60
        )
        body = answer.content
        if "json" in answer.headers.get("content-type", ""):
            body = body.replace(behind.url.encode(), self.proxy.url.encode())
        kept = {name: text for name, text in answer.headers.items() if name not in _OWN}
        kept.pop("content-encoding", None)
        return Reply(answer.status_code, kept, body)

    def pass_on(self) -> None:
        """Be no more than a proxy."""
        reply = self.forward()
        self.reply(reply.status, reply.headers, reply.body)

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer, and keep the connection."""
        self.start(status, {**headers, "content-length": str(len(body))})
        self.handler.wfile.write(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer."""
        self.handler.send_response_only(status)
        for name, text in headers.items():
            self.handler.send_header(name, text)
        self.handler.end_headers()

    def reset(self) -> None:
        """Break the connection off, so that the other side sees a reset."""
        self.handler.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


def status(code: int, name: str = "", message: str = "", **headers: str) -> Fault:
    """Answer with a status, an error's name and headers, ``_`` in whose names stands for ``-``."""
    body = json.dumps({"error": name, "message": message}).encode() if name else b""
    fields = {key.replace("_", "-"): text for key, text in headers.items()}

    def fault(exchange: Exchange) -> None:
        exchange.reply(code, {"content-type": "application/json", **fields}, body)

    return fault


def redirect(to: str, code: int = 302) -> Fault:
    """Answer that what was asked for is elsewhere."""
    return status(code, location=to)


def answer(value: Any) -> Fault:
    """Answer with JSON without asking the server."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def fault(exchange: Exchange) -> None:
        exchange.reply(200, {"content-type": "application/json"}, body)

    return fault


def change(alter: Callable[[Any], Any]) -> Fault:
    """Answer with the server's JSON as ``alter`` returns it."""

    def fault(exchange: Exchange) -> None:
        reply = exchange.forward()
        body = json.dumps(alter(json.loads(reply.body))).encode()
        exchange.reply(reply.status, reply.headers, body)

    return fault


def other_bytes(exchange: Exchange) -> None:
    """Answer with the server's bytes, of which the last is another."""
    reply = exchange.forward()
    body = reply.body[:-1] + bytes([reply.body[-1] ^ 1])
    exchange.reply(reply.status, reply.headers, body)


def reset(exchange: Exchange) -> None:
    """Break the connection off before the server hears of the request."""
    exchange.reset()


def lost_reply(exchange: Exchange) -> None:
    """Have the server act, and break the connection off."""
    exchange.forward()
    exchange.reset()


def cut(after: int) -> Fault:
    """Break the connection off within the answer."""

    def fault(exchange: Exchange) -> None:
        reply = exchange.forward()
        length = {"content-length": str(len(reply.body))}
        exchange.start(reply.status, {**reply.headers, **length})
        exchange.handler.wfile.write(reply.body[:after])
        exchange.reset()

    return fault


def stall(exchange: Exchange) -> None:
    """Say nothing until the proxy stops."""
    exchange.proxy.stopping.wait()
    exchange.reset()


def drip(every: float) -> Fault:
    """Begin an answer that never ends, a byte at a time."""

    def fault(exchange: Exchange) -> None:
        exchange.start(200, {"content-type": "application/json"})
        while not exchange.proxy.stopping.wait(every):
            exchange.handler.wfile.write(b" ")
            exchange.handler.wfile.flush()

    return fault


def flood(exchange: Exchange) -> None:
    """Answer with more bytes than anybody reads."""
    exchange.start(200, {"content-type": "application/json"})
    while not exchange.proxy.stopping.is_set():
        exchange.handler.wfile.write(b" " * 1_000_000)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, proxy: FaultProxy, *args: Any) -> None:
        self.proxy = proxy
        super().__init__(*args)

    def handle_one_request(self) -> None:
        # Clients go away in the middle of faults, as they should.
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def _deal(self) -> None:
        headers = {name.lower(): text for name, text in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(self.command, self.path, headers, len(body))
        self.proxy.fault_for(asked)(Exchange(self, self.proxy, asked, body))

    do_GET = do_POST = _deal  # noqa: N815 -- the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing on the console."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # Coverage's lock may be held by another thread when a test forks.
        sys.settrace(None)
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # A connection that was reset is closed already.
        request.close()


@contextmanager
def fault_proxy(behind: PdsServer) -> Iterator[FaultProxy]:
    """Run a proxy for as long as the block lasts; its address serves as PDS and directory."""
    proxy = FaultProxy(behind)
    server = _Server(("127.0.0.1", 0), partial(_Handler, proxy))
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
