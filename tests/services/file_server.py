"""A web server for one file that writes each byte itself, so that it can be wrong in any way."""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)
# What has come and is not yet read is lost with a reset, and would be by chance.
_DRAINED_SECONDS = 0.02


@dataclass(frozen=True)
class Asked:
    """A request as it arrived: its first line, and its headers in lower case."""

    line: str
    headers: Mapping[str, str]

    @property
    def target(self) -> str:
        """What stands between the method and the version."""
        return self.line.split(" ")[1]


@dataclass
class FileServer:
    """What is served, how, and what was asked; ``faults`` are used up, one for each request."""

    data: bytes = b""
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True
    chunked: bool = False
    url: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def spans(self) -> list[str | None]:
        """The range of each request, None for all of it."""
        return [one.headers.get("range") for one in self.asked]


class Exchange:
    """One request at a server, and the ways to answer it."""

    def __init__(self, server: FileServer, asked: Asked, sock: socket.socket) -> None:
        self.server = server
        self.asked = asked
        self.sock = sock

    def serve(self, *, stop: int | None = None, **headers: str | None) -> None:
        """Answer as the file is, with other headers if any, and at most ``stop`` bytes of it."""
        server, wanted = self.server, self.asked.headers.get("range")
        said = self.asked.headers.get("if-range")
        is_range = server.ranges and wanted and said in (None, server.etag, server.modified)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and is_range else 0
        size = len(server.data)
        if start >= size and is_range:
            self.answer(416, b"", content_range=f"bytes */{size}")
            return
        fields = {"etag": server.etag, "last_modified": server.modified}
        if is_range:
            fields["content_range"] = f"bytes {start}-{size - 1}/{size}"
        body = server.data[start:]
        self.answer(206 if is_range else 200, body, stop=stop, **fields | headers)

    def answer(
        self, status: int, body: bytes = b"", *, stop: int | None = None, **headers: str | None
    ) -> None:
        """Send an answer, of whose body ``stop`` bytes are sent."""
        length = {"transfer_encoding": "chunked"} if self.server.chunked else None
        fields = {"date": "Tue, 06 Jan 2026 10:00:00 GMT"}
        fields |= {**(length or {"content_length": str(len(body))}), **headers}  # type: ignore[dict-item]
        lines = [f"{name.replace('_', '-')}: {text}" for name, text in fields.items() if text]
        self.send("\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode())
        if self.server.chunked and body:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        if self.server.chunked:
            body += b"0\r\n\r\n"
        # Before it is sent: a client may look once it has it.
        self.server.sent += len(body[:stop])
        self.send(body[:stop])

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def reset(self) -> None:
        """Break the connection off."""
        time.sleep(_DRAINED_SECONDS)
        plain = self.sock
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_WHEN_CLOSED)
        plain.close()

    def close(self) -> None:
        """End the connection as if that were all."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def hang(self) -> None:
        """Say nothing more."""
        self.server.stopping.wait()


Fault = Callable[[Exchange], None]


def cut(stop: int) -> Fault:
    """Break off after so many bytes of a body."""

    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=stop)
        exchange.reset()

    return fault


def status(code: int, **headers: str | None) -> Fault:
    """Answer with a status and no body."""
    return lambda exchange: exchange.answer(code, b"", stop=None, **headers)


def _handle(server: FileServer, sock: socket.socket) -> None:
    with suppress(OSError), sock:
        while (asked := _next_request(sock)) is not None:
            server.asked.append(asked)
            fault = server.faults.popleft() if server.faults else Exchange.serve
            fault(Exchange(server, asked, sock))


def _next_request(sock: socket.socket) -> Asked | None:
    # Not through a file, which would keep a socket open that a fault closes.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(65536)
        if not data:
            return None
        head += data
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return Asked(line, {name.lower(): text.strip() for name, _, text in pairs})


@contextmanager
def file_server(
    data: bytes = b"", certificate: object = None, host: str = "127.0.0.1"
) -> Iterator[FileServer]:
    """Serve a file for as long as the block runs, over TLS if there is a certificate."""
    served = FileServer(data)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            served.connections += 1
            sock = self.request
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(str(certificate))
                try:
                    sock = context.wrap_socket(sock, server_side=True)
                except OSError:
                    return
            _handle(served, sock)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 64
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    shown = f"[{host}]" if ":" in host else host
    with Server((host, 0), Handler) as server:
        served.url = f"{'https' if certificate else 'http'}://{shown}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            served.stopping.set()
            server.shutdown()
            thread.join()
