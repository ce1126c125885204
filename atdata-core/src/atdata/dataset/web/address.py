"""A web URL taken apart: who is asked, and for what, byte for byte as it was written."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from atdata.errors import InvalidNameError, UntrustedInputError

PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST = re.compile(r"[a-z0-9._~-]+", re.IGNORECASE)
# What may not stand in a host, user or password; a target has it encoded.
_NOT_IN_AUTHORITY = re.compile(r"[\x00-\x20\x7f\\<>\"{}|^`]")
# Servers sign what they are asked for, so all else stays as it is.
_AS_WRITTEN = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class Address:
    """A server and what it is asked for; ``target`` and ``login`` may be secret, and are not shown.

    ``host`` is in ASCII and lower case, without the brackets of IPv6. Of the target only what
    cannot be sent is percent-encoded: spaces, control characters and what is not ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    login: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str, shown: str) -> Self:
        """Take a URL apart; ``InvalidNameError``, which calls it ``shown``, if that fails."""
        match = _URL.match(url)
        try:
            if match is None or _NOT_IN_AUTHORITY.search(match[2]):
                raise ValueError("it does not name a web server")
            parts = urlsplit(f"//{match[2]}")
            host, port = _ascii(parts.hostname or ""), parts.port
        except ValueError as error:
            raise InvalidNameError(f"{shown} is not a valid web URL: {error}", url=shown) from None
        scheme = match[1].lower()
        return cls(scheme, host, port or PORTS[scheme], _target(match[3]), basic_login(parts))

    @property
    def server(self) -> str:
        """Host and port as the ``Host`` header has them: the port only if it is not the usual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and server, without what is asked for."""
        return f"{self.scheme}://{self.server}"

    def redirected(self, location: str, shown: str) -> Self:
        """Return where a server sends those who ask for this address.

        A login is taken along to the same origin only.

        Raises:
            UntrustedInputError: that is not a web URL, or leaves https for http.
        """
        try:
            found = type(self).from_url(self._absolute(location), "its new address")
        except ValueError as error:
            raise UntrustedInputError(
                f"{shown} is redirected to what is not a valid web URL: {error}", url=shown
            ) from None
        if self.scheme == "https" and found.scheme != "https":
            raise UntrustedInputError(
                f"{shown} is redirected from https to http on {found.host}, which is never "
                "followed; ask who keeps it",
                url=shown,
            )
        same = found.origin == self.origin
        return replace(found, login=self.login) if same and found.login is None else found

    def _absolute(self, location: str) -> str:
        if _SCHEME.match(location):
            return location
        if location.startswith("//"):
            return f"{self.scheme}:{location}"
        return f"{self.origin}/{urljoin(self.target, location).removeprefix('/')}"


def _ascii(host: str) -> str:
    if ":" in host:
        return str(ip_address(host))
    found = host.encode("idna").decode()
    # What stands for other characters in Unicode becomes them.
    if _HOST.fullmatch(found) is None:
        raise ValueError("it names no host")
    return found


def _target(written: str) -> str:
    target = quote(written, safe=_AS_WRITTEN, errors="surrogatepass")
    return target if target.startswith("/") else f"/{target}"


def basic_login(parts: SplitResult) -> str | None:
    """Return the header for the user and password of a URL, None if it has none."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(pair.encode('utf-8', 'surrogatepass')).decode()}"
