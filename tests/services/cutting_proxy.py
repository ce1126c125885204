"""A TCP proxy that breaks connections off, as networks do."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_DRAINED_SECONDS = 0.1
_RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Forwards connections to a server, and resets each after so many bytes of its answers.

    ``cuts`` has a number for each connection in turn; when they run out, connections are left
    alone. ``hangs`` lets them fall silent instead.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, endpoint: str, cuts: Iterable[int] = (), *, hangs: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        server = urlsplit(endpoint)
        self.target = (server.hostname, server.port)
        self.hangs = hangs
        self.sent = 0
        self.connections = 0
        self._cuts = iter(cuts)
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_cut(self) -> float:
        with self._lock:
            self.connections += 1
            return next(self._cuts, float("inf"))

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing on the console: a client may leave whenever it likes."""


class _Connection(socketserver.BaseRequestHandler):
    server: CuttingProxy
    request: socket.socket

    def handle(self) -> None:
        left = self.server.next_cut()
        with socket.create_connection(self.server.target) as server:
            asking = threading.Thread(target=_pump, args=(self.request, server), daemon=True)
            asking.start()
            while left > 0 and (data := server.recv(int(min(_CHUNK, left)))):
                self.request.sendall(data)
                self.server.count(len(data))
                left -= len(data)
            if left <= 0:
                self._break_off(asking)

    def _break_off(self, asking: threading.Thread) -> None:
        if self.server.hangs:
            threading.Event().wait()
        # What has come and is not yet read is lost with a reset, and would be by chance.
        time.sleep(_DRAINED_SECONDS)
        # While another thread waits for data, closing does nothing.
        self.request.shutdown(socket.SHUT_RD)
        asking.join()
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_WHEN_CLOSED)
        self.request.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def cutting(
    endpoint: str, cuts: Iterable[int] = (), *, hangs: bool = False
) -> Iterator[CuttingProxy]:
    """Run a proxy before a server for as long as the block does."""
    with CuttingProxy(endpoint, cuts, hangs=hangs) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
