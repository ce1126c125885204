"""An S3 server that lacks what newer ones have, made of one that has it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class OldServer(ThreadingHTTPServer):
    """Forwards requests to a server that checks no signatures, except for what it lacks.

    That is "conditions", "ranges", "second parts", or a piece of a request line such as "PUT /":
    such requests are answered as a web server does, which is pleased with anything.
    """

    daemon_threads = True

    def __init__(self, endpoint: str, *lacks: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarded)
        target = urlsplit(endpoint)
        self.target = target.hostname or "", target.port
        self.lacks = frozenset(lacks)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Forwarded(BaseHTTPRequestHandler):
    server: OldServer
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lacks = self.server.lacks
        if "conditions" in lacks and "If-None-Match" in self.headers:
            self._fail(501, "NotImplemented")
        elif "second parts" in lacks and "partNumber=2" in self.path:
            self._fail(403, "AccessDenied")
        elif any(lack in f"{self.command} {self.path}" for lack in lacks):
            self._answer(200, b"")
        else:
            # The body is here, so nothing is to be expected.
            self._pass_on(body, {"Expect", "Range"} if "ranges" in lacks else {"Expect"})

    def _pass_on(self, body: bytes, left_out: set[str]) -> None:
        headers = {name: text for name, text in self.headers.items() if name not in left_out}
        connection = http.client.HTTPConnection(*self.server.target)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in {"connection", "content-length", "date", "server"}:
                self.send_header(name, text)
        size = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(data)
        connection.close()

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 -- the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing on the console."""


@contextmanager
def lacking(endpoint: str, *lacks: str) -> Iterator[OldServer]:
    """Run such a server before another for as long as the block does."""
    with OldServer(endpoint, *lacks) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
