"""A stand-in for a relay: who has published, in pages of two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

RECORD = "ac.foundation.dataset.record"


@contextmanager
def relay_of(
    dids: list[str], *, circles: bool = False, endless: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """Run a relay that lists some DIDs two by two; give its address and the cursors asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {key: one[0] for key, one in parse_qs(urlsplit(self.path).query).items()}
            start = int(query.get("cursor", 0))
            asked.append(f"{query['collection']} {start}")
            known = dids if query["collection"] == RECORD else dids[:1]
            body: dict[str, Any] = {"repos": [{"did": did} for did in known[start : start + 2]]}
            if start + 2 < len(known):
                body["cursor"] = str(0 if circles else start + 2)
            if endless:
                body = {"repos": [{"did": did} for did in dids], "cursor": str(start + 2)}
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
