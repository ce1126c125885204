"""Asking for a URL: through redirects, to servers that may be asked, until a server answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from atdata.dataset.web.address import Address
from atdata.dataset.web.connections import send
from atdata.dataset.web.failures import WEB_ERRORS, unreachable
from atdata.dataset.web.proxies import Proxy, proxy_for
from atdata.errors import StorageError, UntrustedInputError
from atdata.trust import addresses_of, checked_origin, is_public

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
# More than this is not read to keep a connection.
_SHORT = 64 << 10


@dataclass(frozen=True)
class Wanted:
    """A URL to be read, what errors call it, and whether only public servers may be asked."""

    address: Address = field(repr=False)
    shown: str
    public_only: bool = False


def ask(wanted: Wanted, headers: dict[str, str]) -> BaseHTTPResponse:
    """Return an answer that is not a redirect, of any status, with its body unread.

    A public server leads to public servers only, whoever named it.

    Raises:
        UntrustedInputError: a server may not be asked, or leads from https to http.
        StorageError: there is no end of redirects, or something fails for good.
        PassingError: something fails that may go well the next time.
    """
    address, must_be_public = wanted.address, wanted.public_only
    for _ in range(REDIRECTS + 1):
        response = _ask_once(wanted, address, headers, public_only=must_be_public)
        location = response.headers.get("location")
        if response.status not in _MOVED or location is None:
            return response
        give_back(response)
        # Headers are read as Latin-1, whatever was sent.
        where = location.encode("latin-1").decode("utf-8", "replace").strip()
        found = address.redirected(where, wanted.shown)
        must_be_public = must_be_public or (found.host != address.host and _is_public(address))
        address = found
    message = f"{wanted.shown} is redirected more than {REDIRECTS} times; ask who keeps it"
    raise StorageError(message, url=wanted.shown)


def give_back(response: BaseHTTPResponse) -> None:
    """Be done with an answer: its connection is kept if little or nothing of it is unread."""
    left = response.length_remaining
    if left is not None and left <= _SHORT:
        with suppress(*WEB_ERRORS):
            response.drain_conn()
    response.close()
    response.release_conn()


def _ask_once(
    wanted: Wanted, address: Address, headers: dict[str, str], *, public_only: bool
) -> BaseHTTPResponse:
    proxy = proxy_for(address)
    failed: Exception = OSError("the host has no address")
    try:
        for pinned in _ways(wanted, address, proxy) if public_only else [None]:
            try:
                return send(address, headers, proxy=proxy, pinned=pinned)
            except (NewConnectionError, ConnectTimeoutError) as error:
                failed = error
    except WEB_ERRORS as error:
        failed = error
    # Outside the block, so that nothing is chained.
    raise unreachable(failed, wanted.shown)


def _ways(wanted: Wanted, address: Address, proxy: Proxy | None) -> list[str] | list[None]:
    """Return the public IP addresses of a server, to connect to one after the other.

    A proxy looks the host up itself, maybe to find another address than is found here; None leaves
    that to it.
    """
    try:
        if wanted.public_only:
            checked_origin(address.origin, allow_private=False)
        found = addresses_of(address.host, address.port, allow_private=False)
    except UntrustedInputError:
        if wanted.public_only:
            raise
        raise UntrustedInputError(
            f"{wanted.shown} is redirected from a public server to {address.host}, which is not at "
            "a public address; give the URL that it leads to if that is meant",
            url=wanted.shown,
        ) from None
    except OSError:
        if proxy is None:
            raise
        return [None]
    return found if proxy is None else [None]


def _is_public(address: Address) -> bool:
    try:
        found = addresses_of(address.host, address.port, allow_private=True)
    except OSError:
        return False
    return all(map(is_public, found))
