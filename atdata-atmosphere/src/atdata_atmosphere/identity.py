"""Who somebody is: handles and DIDs, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from atdata.errors import CorruptDataError, NotFoundError, StorageError, UntrustedInputError
from atdata_atmosphere.cache import Cache
from atdata_atmosphere.did_documents import KEPT, KEPT_SECONDS, DidDocuments
from atdata_atmosphere.handles import HandleLookup
from atdata_atmosphere.processes import PerProcess
from atdata_atmosphere.syntax import checked_did, checked_handle
from atdata_atmosphere.web import Web

PLC_DIRECTORY = "https://plc.directory"


@dataclass(frozen=True)
class Identity:
    """A DID, the origin of the server with its repository, and its handle.

    ``handle`` is None where the DID names none, or one that does not lead back to it.
    """

    did: str
    pds: str
    handle: str | None = None


class Resolver:
    """Looks identities up, and keeps them for ten minutes; threads share it."""

    def __init__(self, web: Web, *, plc_url: str, handles: HandleLookup) -> None:
        self._documents = DidDocuments(web, plc_url=plc_url)
        self._handles = handles
        self._kept: PerProcess[Cache[Identity]] = PerProcess(_new_cache)

    def resolve(self, name: str, *, fresh: bool = False) -> Identity:
        """Return who goes by a handle or DID.

        A handle must be the one its DID names; else `UntrustedInputError` names both. That of a
        DID is left out unless it leads back. ``fresh`` passes over what is kept.

        Raises:
            IdentityNotFoundError: nobody goes by that name.
            UntrustedInputError: the names contradict each other, or the server is a refused one.
            StorageError: a server that had to be asked did not answer.
        """
        key = checked_did(name) if name.startswith("did:") else checked_handle(name)
        kept = self._kept.get()
        identity = None if fresh else kept.get(key)
        if identity is None:
            look_up = self._by_did if key.startswith("did:") else self._by_handle
            identity = look_up(key, fresh=fresh)
            kept.put(key, identity)
        return identity

    def home(self, name: str) -> tuple[str, str]:
        """Return the DID and the server of a handle or DID, without looking for a DID's handle."""
        if name.startswith("did:"):
            home = self._documents.home(name)
            return home.did, home.pds
        identity = self.resolve(name)
        return identity.did, identity.pds

    def _by_handle(self, handle: str, *, fresh: bool) -> Identity:
        did = self._handles.did_of(handle)
        home = self._documents.home(did, fresh=fresh)
        if home.claims != handle:
            says = f"says it is {home.claims}" if home.claims else "names no handle"
            raise UntrustedInputError(
                f"{handle} leads to {did}, which {says}; ask the owner, or give the DID",
                handle=handle,
                did=did,
                claimed=home.claims,
            )
        return Identity(did, home.pds, handle)

    def _by_did(self, did: str, *, fresh: bool) -> Identity:
        home = self._documents.home(did, fresh=fresh)
        is_mutual = home.claims is not None and self._leads_back(home.claims, did)
        return Identity(did, home.pds, home.claims if is_mutual else None)

    def _leads_back(self, handle: str, did: str) -> bool:
        try:
            return self._handles.did_of(handle) == did
        except (NotFoundError, StorageError, UntrustedInputError, CorruptDataError):
            # The DID is what was asked for, and it says where its repository is.
            return False


def _new_cache() -> Cache[Identity]:
    return Cache(seconds=KEPT_SECONDS, most=KEPT)
