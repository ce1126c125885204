"""Which DID a handle leads to: by DNS, by its own web server, and in tests by a PDS."""

from __future__ import annotations

import httpx

from atdata.errors import (
    AtdataError,
    IdentityNotFoundError,
    LimitExceededError,
    NotFoundError,
    StorageError,
    UntrustedInputError,
)
from atdata_atmosphere.syntax import is_did
from atdata_atmosphere.web import Ask, Web

DNS_SECONDS = 5.0
MAX_ANSWER = 2048 + 64
# Most handles that do not answer at once never will.
ATTEMPTS = 2
# Names that no registry gives away, so that nobody's handle ends in them.
RESERVED = frozenset(
    {"alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion"}
)


class HandleLookup:
    """Asks where a handle leads.

    ``pds`` answers for handles that end in ``.test``, which exist only in development.
    """

    def __init__(self, web: Web, *, pds: str | None) -> None:
        self._web = web
        self._pds = pds

    def did_of(self, handle: str) -> str:
        """Return the DID, which need not know of the handle.

        Raises:
            IdentityNotFoundError: neither DNS nor the handle's own server names one.
            UntrustedInputError: the handle contradicts itself, or belongs to nobody.
            StorageError: a server did not answer.
        """
        last = handle.rpartition(".")[2]
        if last in RESERVED:
            raise UntrustedInputError(f"nobody's handle ends in .{last}: {handle}", handle=handle)
        if last == "test":
            return self._checked(handle, self._from_pds(handle))
        return self._checked(handle, self._from_anywhere(handle))

    def _checked(self, handle: str, did: str) -> str:
        if not is_did(did) or not did.startswith(("did:plc:", "did:web:")):
            message = f"{handle} leads to {did[:100]!r}, which is no DID that can be looked up"
            raise UntrustedInputError(message, handle=handle)
        return did

    def _from_anywhere(self, handle: str) -> str:
        unanswered = None
        try:
            found = self._from_dns(handle)
        except StorageError as error:
            found, unanswered = None, error
        try:
            return self._from_web(handle) if found is None else found
        except NotFoundError as error:
            # A name server that does not answer might have known.
            raise unanswered or error from error

    def _from_pds(self, handle: str) -> str:
        if self._pds is None:
            message = f"{handle} exists in development only; pass base_url=, the PDS that knows it"
            raise IdentityNotFoundError(message, handle=handle)
        url = f"{self._pds}/xrpc/com.atproto.identity.resolveHandle"
        try:
            answer = self._web.json(Ask(url, params={"handle": handle}, attempts=ATTEMPTS))
        except (NotFoundError, StorageError) as error:
            if getattr(error, "status", None) != 400:
                raise
            raise _nobody(handle) from error
        return str(answer.get("did"))

    def _from_web(self, handle: str) -> str:
        url = f"https://{handle}/.well-known/atproto-did"
        try:
            answer = self._web.read(Ask(url, max_bytes=MAX_ANSWER, attempts=ATTEMPTS))
        except (NotFoundError, StorageError, LimitExceededError) as error:
            if _is_passing(error):
                raise
            raise _nobody(handle) from error
        return answer.decode("ascii", errors="replace").strip()

    def _from_dns(self, handle: str) -> str | None:
        texts = _texts(f"_atproto.{handle}.")
        dids = {text.removeprefix("did=") for text in texts if text.startswith("did=")}
        if len(dids) > 1:
            message = f"{handle} leads to several DIDs: {', '.join(sorted(dids))[:300]}"
            raise UntrustedInputError(message, handle=handle)
        return next(iter(dids), None)


def _texts(name: str) -> list[str]:
    # 30 ms, and many look-ups are of DIDs.
    import dns.exception
    import dns.name
    import dns.resolver

    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=DNS_SECONDS, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.NameTooLong):
        # The handle's own server may still have an answer.
        return []
    except (dns.exception.DNSException, OSError) as error:
        message = f"no name server says who {name} is; check the network, or try again"
        raise StorageError(message, name=name) from error
    return [b"".join(entry.strings).decode("ascii", errors="replace") for entry in answer]


def _is_passing(error: AtdataError) -> bool:
    """Tell whether a server may answer another time; one that cannot be reached is none."""
    if not isinstance(error, StorageError) or isinstance(error.__cause__, httpx.ConnectError):
        return False
    status = error.details.get("status")
    return status is None or status == 429 or status >= 500


def _nobody(handle: str) -> IdentityNotFoundError:
    message = f"nobody goes by the handle {handle}; check how it is spelled"
    return IdentityNotFoundError(message, handle=handle)
