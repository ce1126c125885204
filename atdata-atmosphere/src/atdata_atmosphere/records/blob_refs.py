"""References to blobs: their JSON form in records, and ``at://did/blob/cid`` as URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atdata.errors import CorruptDataError, InvalidNameError
from atdata.index.cids import parse_cid

TAR = "application/x-tar"

_URL = re.compile(r"at://(?P<did>did:[a-z]+:[A-Za-z0-9._:%-]+)/blob/(?P<cid>[A-Za-z0-9+/=]{1,200})")
_RAW, _SHA256 = 0x55, 0x12


@dataclass(frozen=True)
class BlobRef:
    """A blob as a record refers to it; size and MIME type where they are known."""

    cid: str
    size: int | None = None
    mime_type: str = TAR

    @property
    def sha256(self) -> str:
        """The SHA-256 of the blob's bytes in hex, which its CID holds."""
        return blob_digest(self.cid)

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "$type": "blob",
            "ref": {"$link": self.cid},
            "mimeType": self.mime_type,
            "size": self.size,
        }

    @classmethod
    def from_record(cls, value: Any, where: str) -> BlobRef:
        """Read the JSON form, or the older one of ``cid`` and ``mimeType``."""
        if not isinstance(value, Mapping):
            raise CorruptDataError(f"{where} is not a map", field=where)
        ref = value.get("ref", value.get("cid"))
        cid = ref.get("$link") if isinstance(ref, Mapping) else ref
        size, mime_type = value.get("size"), value.get("mimeType", TAR)
        if not isinstance(cid, str) or not isinstance(mime_type, str):
            raise CorruptDataError(f"{where} is not a reference to a blob", field=where)
        if size is not None and (type(size) is not int or size < 0):
            raise CorruptDataError(f"{where}.size is {size!r:.40}, not a number", field=where)
        try:
            blob_digest(cid)
        except InvalidNameError as error:
            raise CorruptDataError(f"{where}: {error}", field=where) from error
        return cls(cid, size, mime_type)


def blob_digest(cid: str) -> str:
    """Return the SHA-256 in hex that a blob's CID stands for.

    ``InvalidNameError`` if it is no CID of raw bytes by that hash, the only one that is checked.
    """
    parsed = parse_cid(cid)
    if (parsed["version"], parsed["codec"], parsed["hash"]["code"]) != (1, _RAW, _SHA256):
        raise InvalidNameError(
            f"{cid[:100]!r} is not the CID of a blob; those are of raw bytes and SHA-256", cid=cid
        )
    return str(parsed["hash"]["digest"].hex())


def blob_cid(sha256: bytes) -> str:
    """Return the CID of the bytes that have a SHA-256."""
    # 50 ms, when the first blob is written.
    from multiformats import CID

    return str(CID("base32", 1, "raw", ("sha2-256", sha256)))


def to_url(did: str, cid: str) -> str:
    """Return the URL under which a blob is read."""
    return f"at://{did}/blob/{cid}"


def is_blob_url(url: str) -> bool:
    """Tell whether a URL is one of a blob."""
    return _URL.fullmatch(url) is not None


def parse_url(url: str) -> tuple[str, str]:
    """Return the DID and CID of a blob's URL; ``InvalidNameError`` if it is none."""
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidNameError(
            f"{url!r:.300} is not the URL of a blob, which is at://DID/blob/CID", url=url
        )
    blob_digest(match["cid"])
    return match["did"], match["cid"]
