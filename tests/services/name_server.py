"""A name server on loopback that knows the texts it is told."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.message
import dns.rcode
import dns.rrset


@dataclass
class NameServer:
    """Where the server listens, and the TXT records it has by full name."""

    port: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Run a name server for as long as the block lasts."""
    names = NameServer()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, connection = self.request
            connection.sendto(_answer(names, data), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        names.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield names
        finally:
            server.shutdown()
            thread.join()


def _answer(names: NameServer, data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    name = query.question[0].name
    texts = names.texts.get(str(name))
    if texts is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    else:
        quoted = [f'"{text}"' for text in texts]
        reply.answer.append(dns.rrset.from_text_list(name, 60, "IN", "TXT", quoted))
    return reply.to_wire()
