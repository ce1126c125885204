"""Who somebody is: handles, DIDs and repositories' servers, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from atdata.errors import CorruptDataError, NotFoundError, StorageError, UntrustedInputError
from atdata_atmosphere.addresses import checked_origin
from atdata_atmosphere.cache import Cache
from atdata_atmosphere.handles import HandleLookup
from atdata_atmosphere.processes import PerProcess
from atdata_atmosphere.syntax import checked_did, checked_handle, is_handle
from atdata_atmosphere.web import Ask, Web

PLC_DIRECTORY = "https://plc.directory"
MAX_DOCUMENT = 1024 * 1024
KEPT_SECONDS = 600.0
KEPT = 1024


@dataclass(frozen=True)
class Identity:
    """A DID, the origin of the server with its repository, and its handle.

    ``handle`` is None where the DID names none, or one that does not lead back to it.
    """

    did: str
    pds: str
    handle: str | None = None


def _new_cache() -> Cache[Identity]:
    return Cache(seconds=KEPT_SECONDS, most=KEPT)


class Resolver:
    """Looks identities up, and keeps them for ten minutes; threads share it."""

    def __init__(self, web: Web, *, plc_url: str, handles: HandleLookup) -> None:
        self._web = web
        self._plc_url = checked_origin(plc_url, allow_private=web.allow_private)
        self._handles = handles
        self._kept: PerProcess[Cache[Identity]] = PerProcess(_new_cache)

    def resolve(self, name: str, *, fresh: bool = False) -> Identity:
        """Return who goes by a handle or DID.

        A handle must be the one its DID names; else `UntrustedInputError` names both. That of a
        DID is left out unless it leads back. ``fresh`` passes over what is kept.

        Raises:
            NotFoundError: nobody goes by that name.
            UntrustedInputError: the names contradict each other, or the server is a refused one.
            StorageError: a server that had to be asked did not answer.
        """
        key = checked_did(name) if name.startswith("did:") else checked_handle(name)
        kept = self._kept.get()
        if not fresh and (known := kept.get(key)) is not None:
            return known
        identity = self._by_did(key) if key.startswith("did:") else self._by_handle(key)
        kept.put(key, identity)
        return identity

    def _by_handle(self, handle: str) -> Identity:
        did = self._handles.did_of(handle)
        document = self._document(did)
        claimed = _handle_of(document)
        if claimed != handle:
            says = f"says it is {claimed}" if claimed else "names no handle"
            raise UntrustedInputError(
                f"{handle} leads to {did}, which {says}; ask the owner, or give the DID",
                handle=handle,
                did=did,
                claimed=claimed,
            )
        return Identity(did, self._server_of(document), handle)

    def _by_did(self, did: str) -> Identity:
        document = self._document(did)
        handle = _handle_of(document)
        if handle is not None and not self._leads_back(handle, did):
            handle = None
        return Identity(did, self._server_of(document), handle)

    def _leads_back(self, handle: str, did: str) -> bool:
        try:
            return self._handles.did_of(handle) == did
        except (NotFoundError, StorageError, UntrustedInputError, CorruptDataError):
            # The DID is what was asked for, and it says where its repository is.
            return False

    def _document(self, did: str) -> dict[str, Any]:
        if did.startswith("did:plc:"):
            url = f"{self._plc_url}/{did}"
        else:
            url = f"{web_origin(did, allow_private=self._web.allow_private)}/.well-known/did.json"
        try:
            document = self._web.json(Ask(url, max_bytes=MAX_DOCUMENT))
        except NotFoundError as error:
            raise NotFoundError(f"there is no {did}; {url} has no document", did=did) from error
        if document.get("id") != did:
            raise UntrustedInputError(f"{url} answers with the document of another DID", did=did)
        return document

    def _server_of(self, document: dict[str, Any]) -> str:
        did = document["id"]
        for service in _list(document.get("service")):
            if not isinstance(service, dict) or service.get("id") not in (
                "#atproto_pds",
                f"{did}#atproto_pds",
            ):
                continue
            endpoint = service.get("serviceEndpoint")
            if service.get("type") == "AtprotoPersonalDataServer" and isinstance(endpoint, str):
                return checked_origin(endpoint, allow_private=self._web.allow_private)
        raise NotFoundError(f"{did} names no server that keeps its repository", did=did)


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


def _handle_of(document: dict[str, Any]) -> str | None:
    for alias in _list(document.get("alsoKnownAs")):
        if isinstance(alias, str) and alias.startswith("at://"):
            handle = alias.removeprefix("at://").lower()
            return handle if is_handle(handle) else None
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
