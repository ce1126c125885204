"""What a DID says of itself: the server with its repository, and the handle it claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from atdata.errors import IdentityNotFoundError, NotFoundError, UntrustedInputError
from atdata.trust import checked_origin
from atdata_atmosphere.cache import Cache
from atdata_atmosphere.processes import PerProcess
from atdata_atmosphere.syntax import checked_did, is_handle
from atdata_atmosphere.web import Ask, Web

MAX_DOCUMENT = 1024 * 1024
KEPT_SECONDS = 600.0
KEPT = 4096


@dataclass(frozen=True)
class Home:
    """A DID, the origin of the server with its repository, and the handle it claims, if any."""

    did: str
    pds: str
    claims: str | None


class DidDocuments:
    """Fetches what DIDs say, and keeps it for ten minutes; threads share it."""

    def __init__(self, web: Web, *, plc_url: str) -> None:
        self._web = web
        self._plc_url = web.reach.origin(plc_url)
        self._kept: PerProcess[Cache[Home]] = PerProcess(_new_cache)

    def home(self, did: str, *, fresh: bool = False) -> Home:
        """Return where a DID is at home.

        Raises:
            IdentityNotFoundError: there is no such DID, or it names no server.
            UntrustedInputError: its document is another's, or its server a refused one.
            StorageError: who keeps the document did not answer.
        """
        kept = self._kept.get()
        known = None if fresh else kept.get(did)
        if known is None:
            document = self._fetch(checked_did(did))
            known = Home(did, self._server_in(document), _handle_in(document))
            kept.put(did, known)
        return known

    def _fetch(self, did: str) -> dict[str, Any]:
        if did.startswith("did:plc:"):
            url = f"{self._plc_url}/{did}"
        else:
            origin = web_origin(did, allow_private=self._web.reach.allow_private)
            url = f"{origin}/.well-known/did.json"
        try:
            document = self._web.json(Ask(url, max_bytes=MAX_DOCUMENT))
        except NotFoundError as error:
            raise IdentityNotFoundError(
                f"there is no {did}; {url} has no document", did=did
            ) from error
        if document.get("id") != did:
            raise UntrustedInputError(f"{url} answers with the document of another DID", did=did)
        return document

    def _server_in(self, document: dict[str, Any]) -> str:
        did = document["id"]
        for service in _list(document.get("service")):
            is_pds = isinstance(service, dict) and (
                service.get("id") in ("#atproto_pds", f"{did}#atproto_pds")
                and service.get("type") == "AtprotoPersonalDataServer"
                and isinstance(service.get("serviceEndpoint"), str)
            )
            if is_pds:
                endpoint: str = service["serviceEndpoint"]
                return self._web.reach.origin(endpoint)
        raise IdentityNotFoundError(f"{did} names no server that keeps its repository", did=did)


def _new_cache() -> Cache[Home]:
    return Cache(seconds=KEPT_SECONDS, most=KEPT)


def web_origin(did: str, *, allow_private: bool) -> str:
    """Return the origin that a did:web names: a host, and for localhost alone a port.

    Raises `UntrustedInputError` for anything else, as the AT Protocol has it.
    """
    name = did.removeprefix("did:web:")
    host, separator, port = name.partition("%3A")
    is_local = host == "localhost" and allow_private
    if ":" in name or "%" in port + host or (separator and not (is_local and port.isdecimal())):
        message = f"{did[:200]} names more than a host, which the AT Protocol does not allow"
        raise UntrustedInputError(message, did=did)
    if not is_local and not is_handle(host):
        raise UntrustedInputError(f"{did[:200]} names no host", did=did)
    scheme = "http" if is_local else "https"
    return checked_origin(f"{scheme}://{unquote(name)}", allow_private=allow_private)


def _handle_in(document: dict[str, Any]) -> str | None:
    for alias in _list(document.get("alsoKnownAs")):
        if isinstance(alias, str) and alias.startswith("at://"):
            handle = alias.removeprefix("at://").lower()
            return handle if is_handle(handle) else None
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
