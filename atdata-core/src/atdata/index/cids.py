"""Content identifiers: CIDv1 over canonical DAG-CBOR, hashed with SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from atdata.errors import FieldError, InvalidNameError


def generate_cid(data: Any) -> str:
    """Return the CID of ``data`` encoded as DAG-CBOR: maps with text keys, lists and scalars."""
    # Imported when the first CID is asked for: with multiformats it costs some 50 ms.
    import dag_cbor
    from dag_cbor.encoding import CBOREncodingError

    try:
        encoded = dag_cbor.encode(data)
    except (CBOREncodingError, ValueError, TypeError, RecursionError) as error:
        message = f"Failed to encode {type(data).__name__} as DAG-CBOR: {error}"
        raise FieldError(f"{message}; use maps, lists, text, bytes and finite numbers") from error
    return generate_cid_from_bytes(encoded)


def generate_cid_from_bytes(encoded: bytes) -> str:
    """Return the CID of bytes that are DAG-CBOR already."""
    # See above.
    from multiformats import CID

    return str(CID("base32", 1, "dag-cbor", ("sha2-256", hashlib.sha256(encoded).digest())))


def verify_cid(cid: str, data: Any) -> bool:
    """Tell whether ``cid`` is the CID of ``data``; text that is no CID is not."""
    return generate_cid(data) == cid


def parse_cid(cid: str) -> dict[str, Any]:
    """Return ``version``, ``codec`` and ``hash`` (``code``, ``size``, ``digest``) of any CID.

    The codes are those of the multicodec table: 0x71 is dag-cbor, 0x55 raw, 0x12 sha2-256.
    """
    # See above.
    from multiformats import CID

    try:
        parsed = CID.decode(cid)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        message = f"{cid[:100]!r} is no CID; the ones made here look like 'bafyrei...'"
        raise InvalidNameError(message, cid=cid) from error
    return {
        "version": parsed.version,
        "codec": parsed.codec.code,
        "hash": {
            "code": parsed.hashfun.code,
            "size": len(parsed.raw_digest),
            "digest": bytes(parsed.raw_digest),
        },
    }


def entry_cid(schema_ref: str, data_urls: Sequence[str]) -> str:
    """Return the CID of an entry: of ``{"schema_ref": text, "data_urls": [text]}``.

    The order and spelling of the URLs count; name and metadata do not.
    """
    return generate_cid({"schema_ref": schema_ref, "data_urls": list(data_urls)})


def content_cid(fields: Sequence[Mapping[str, Any]], digests: Sequence[str]) -> str:
    """Return the CID of what a dataset holds, the same wherever its shards lie.

    It is the CID of ``{"fields": fields, "sha256": digests}``: the ``fields`` list of the schema
    record, and the SHA-256 of each shard in order, in lower-case hex.
    """
    for digest in digests:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            message = f"{digest[:80]!r} is no SHA-256 digest; give 64 lower-case hex digits"
            raise InvalidNameError(message, digest=digest)
    return generate_cid({"fields": [dict(field) for field in fields], "sha256": list(digests)})
