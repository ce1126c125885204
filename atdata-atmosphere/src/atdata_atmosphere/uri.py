"""Addresses of records in the network: ``at://authority/collection/key``."""

from __future__ import annotations

from dataclasses import dataclass

from atdata.errors import InvalidNameError
from atdata_atmosphere.syntax import is_did, is_handle, is_nsid, is_record_key

MAX_URI = 8192


@dataclass(frozen=True)
class AtUri:
    """The address of one record.

    ``authority`` is the DID or handle of the repository's owner, ``collection`` the NSID of the
    record's kind and ``rkey`` its key. Parts are checked when the address is made, also by hand.

    >>> AtUri.parse("at://did:plc:abc123/ac.foundation.dataset.record/xyz").rkey
    'xyz'
    """

    authority: str
    collection: str
    rkey: str

    def __post_init__(self) -> None:
        if not (is_did(self.authority) or is_handle(self.authority)):
            raise _malformed(str(self), "its authority is neither a DID nor a handle")
        if not is_nsid(self.collection):
            raise _malformed(str(self), "its collection is no NSID")
        if not is_record_key(self.rkey):
            raise _malformed(str(self), "its record key has characters that keys have not")

    @classmethod
    def parse(cls, uri: str) -> AtUri:
        """Read an address, or raise `InvalidNameError`, which is a ValueError."""
        if not uri.startswith("at://"):
            raise _malformed(uri, "it must start with 'at://'")
        parts = uri.removeprefix("at://").split("/")
        if len(uri) > MAX_URI or len(parts) != 3:
            raise _malformed(uri, "expected at://authority/collection/rkey")
        return cls(*parts)

    def __str__(self) -> str:
        return f"at://{self.authority}/{self.collection}/{self.rkey}"


def _malformed(uri: str, reason: str) -> InvalidNameError:
    return InvalidNameError(f"{uri[:200]!r} is no address of a record: {reason}", uri=uri)
