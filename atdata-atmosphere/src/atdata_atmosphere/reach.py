"""Which servers of the network may be asked: public ones, and those that the caller names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from atdata.trust import checked_origin

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reach:
    """Public servers over https, those that the caller named, and with ``allow_private`` all.

    ``named`` are scheme, host and port of each. A server that data names, such as the document of
    a DID, is one of these or public.
    """

    allow_private: bool = False
    named: frozenset[tuple[str, str, int]] = frozenset()

    @classmethod
    def to(cls, *urls: str | None, allow_private: bool) -> Self:
        """Return the reach of a caller who names these servers, whose URLs are checked."""
        origins = (checked_origin(url, allow_private=True) for url in urls if url is not None)
        return cls(allow_private, frozenset(map(_server, origins)))

    def origin(self, url: str) -> str:
        """Return the origin of a server's URL; ``UntrustedInputError`` if it may not be asked."""
        origin = checked_origin(url, allow_private=True)
        is_named = _server(origin) in self.named
        return checked_origin(url, allow_private=is_named or self.allow_private)

    def allows_plain(self, host: str, port: int | None) -> bool:
        """Tell whether a server may be asked over http."""
        return self.allow_private or ("http", host, port or _PORTS["http"]) in self.named

    def allows_private(self, host: str, port: int) -> bool:
        """Tell whether a server may be at an address that is not public."""
        return self.allow_private or any((one, host, port) in self.named for one in _PORTS)


def _server(origin: str) -> tuple[str, str, int]:
    parts = urlsplit(origin)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
