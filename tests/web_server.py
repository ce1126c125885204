"""A real web server for tests, with the ways in which servers differ."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Web:
    """What a server answers with, and what it was asked."""

    url: str = ""
    ranges: bool = False
    head: bool = True
    status: int = 200
    cut: int | None = None
    requests: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, root: Path, web: Web, *args: object) -> None:
        self.root = root
        self.web = web
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        if self.web.head:
            self._answer(with_body=False)
        else:
            self.send_error(405)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.web.requests.append(f"{self.command} {self.path}")
        file = self.root / self.path.partition("?")[0].lstrip("/")
        if self.web.status != 200 or not file.is_file():
            self.send_error(self.web.status if self.web.status != 200 else 404)
            return
        data, wanted = file.read_bytes(), self.headers.get("Range")
        if self.web.ranges and wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            stop = min(int(last or len(data)), len(data) - 1) + 1
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(data)}")
            data = data[int(first) : stop]
        else:
            self.send_response(200)
        if self.web.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data[: self.web.cut])
        if self.web.cut is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing on the console."""


@contextmanager
def serving(root: Path) -> Iterator[Web]:
    """Serve a folder on this machine for as long as the block runs."""
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, root, web))
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
