"""A proxy before PostgreSQL, which counts exchanges and cuts a connection at a chosen moment."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from atdata_postgres.provider import PostgresProvider

Cut = Callable[[bytes], bool]


class Wire:
    """Passes bytes on between clients and a server.

    ``round_trips`` counts how often a client spoke after the server had. A request for which
    ``cut_before`` is true never reaches the server; one for which ``cut_after`` is true does, but
    its answer does not come back. Each cuts one connection and is then forgotten.
    """

    def __init__(self, host: str, port: int) -> None:
        self.round_trips = 0
        self.cut_before: Cut | None = None
        self.cut_after: Cut | None = None
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake the thread that waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        # Coverage's own lock, were this thread to hold it, would not survive a fork.
        sys.settrace(None)
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                link = _Link(self, client, socket.create_connection(self._server))
                for work in (link.pass_requests, link.pass_answers):
                    self._threads.append(threading.Thread(target=work, daemon=True))
                    self._threads[-1].start()


class _Link:
    """One connection of a client."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._has_answered = True
        self._is_mute = threading.Event()

    def pass_requests(self) -> None:
        sys.settrace(None)
        with suppress(OSError):
            while data := self._client.recv(65536):
                self._wire.round_trips += self._has_answered
                self._has_answered = False
                if self._wire.cut_before is not None and self._wire.cut_before(data):
                    self._wire.cut_before = None
                    break
                if self._wire.cut_after is not None and self._wire.cut_after(data):
                    self._wire.cut_after = None
                    self._is_mute.set()
                self._server.sendall(data)
        self._close()

    def pass_answers(self) -> None:
        sys.settrace(None)
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._is_mute.is_set():
                    break
                self._has_answered = True
                self._client.sendall(data)
        self._close()

    def _close(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def open_through_wire(dsn: str) -> Iterator[tuple[Wire, PostgresProvider]]:
    """Open an index through a proxy that can read along."""
    given = conninfo_to_dict(dsn)
    with Wire(str(given["host"]), int(given["port"] or 5432)) as wire:
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        through = make_conninfo(dsn, host="127.0.0.1", port=wire.port, **plain)
        with closing(PostgresProvider(through)) as store:
            yield wire, store
