"""Where a dataset's shards lie, as records say it: URLs, web addresses, S3 objects, or blobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from atdata.errors import CorruptDataError, FieldError
from atdata_atmosphere.records.blob_refs import BlobRef, to_url
from atdata_atmosphere.records.bounds import Reader, check_length
from atdata_atmosphere.records.collections import NAMESPACE

MAX_SHARDS = 100_000
MAX_URL = 1000

_EXTERNAL = f"{NAMESPACE}.storageExternal"
_BLOBS = f"{NAMESPACE}.storageBlobs"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Storage:
    """The shards of a dataset, as URLs (brace patterns among them) or as blobs, never both.

    ``sha256`` has the digest of each URL or blob, None where the record names none.
    """

    urls: tuple[str, ...] = ()
    blobs: tuple[BlobRef, ...] = ()
    sha256: tuple[str | None, ...] = ()

    @property
    def kind(self) -> Literal["external", "blobs"]:
        """Which of the two it is."""
        return "blobs" if self.blobs else "external"

    def data_urls(self, did: str) -> list[str]:
        """Return the URLs; those of blobs are in the repository of a DID."""
        return [to_url(did, blob.cid) for blob in self.blobs] or list(self.urls)


def external_storage(urls: Sequence[str]) -> dict[str, Any]:
    """Write URLs as storage; ``FieldError`` if there are none."""
    if not urls or isinstance(urls, str):
        raise FieldError("a dataset record needs a list of at least one URL", field="urls")
    return {
        "$type": _EXTERNAL,
        "urls": [check_length(url, MAX_URL, "a URL of a dataset") for url in urls],
    }


def blob_storage(blobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write references to blobs as storage; ``FieldError`` if there are none."""
    if not blobs:
        raise FieldError("a dataset record needs at least one blob", field="blobs")
    return {"$type": _BLOBS, "blobs": [dict(blob) for blob in blobs]}


def read_storage(value: Any, where: str) -> Storage:
    """Read storage of any generation by the last part of its ``$type``."""
    reader = Reader({"storage": value}, where).below("storage")
    kind = reader.text("$type").rpartition(".")[2]
    readers = {
        "storageExternal": _read_external,
        "storageHttp": _read_http,
        "storageS3": _read_s3,
        "storageBlobs": _read_blobs,
    }
    # A union inside the record's own lexicon is written as collection#storageX by some.
    read = readers.get(kind.rpartition("#")[2])
    if read is None:
        raise CorruptDataError(
            f"{where}.storage is of the unknown type {reader.text('$type')!r:.200}; "
            f"known are {', '.join(readers)}",
            field=f"{where}.storage",
        )
    return read(reader)


def _read_external(reader: Reader) -> Storage:
    urls = tuple(reader.texts("urls", MAX_SHARDS))
    if not urls:
        raise reader.corrupt("urls", "is missing or empty")
    return Storage(urls=urls, sha256=(None,) * len(urls))


def _read_http(reader: Reader) -> Storage:
    shards = _shards(reader)
    # Each is one shard, so what looks like a pattern is not one.
    urls = tuple(_literal(shard.text("url")) for shard in shards)
    return Storage(urls=urls, sha256=tuple(map(_checksum, shards)))


def _read_s3(reader: Reader) -> Storage:
    bucket, endpoint = reader.text("bucket", 255), reader.optional_text("endpoint", 500)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", bucket):
        raise reader.corrupt("bucket", f"is {bucket!r:.80}, which no bucket can be called")
    start = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"s3://{bucket}"
    shards = _shards(reader)
    # On the web a key is part of a path; an s3: URL has it as it is.
    keys = [shard.text("key", 1024) for shard in shards]
    urls = tuple(f"{start}/{quote(key) if endpoint else _literal(key)}" for key in keys)
    return Storage(urls=urls, sha256=tuple(map(_checksum, shards)))


def _read_blobs(reader: Reader) -> Storage:
    items = reader.items("blobs", MAX_SHARDS)
    if not items:
        raise reader.corrupt("blobs", "is missing or empty")
    blobs = []
    for number, item in enumerate(items):
        inner = item.get("blob") if isinstance(item, Mapping) else None
        where = f"{reader.where}.blobs[{number}]"
        blobs.append(BlobRef.from_record(item if inner is None else inner, where))
    return Storage(blobs=tuple(blobs), sha256=tuple(blob.sha256 for blob in blobs))


def _shards(reader: Reader) -> list[Reader]:
    items = reader.items("shards", MAX_SHARDS)
    if not items:
        raise reader.corrupt("shards", "is missing or empty")
    return [reader.of(item, f"shards[{number}]") for number, item in enumerate(items)]


def _checksum(shard: Reader) -> str | None:
    """Return a shard's SHA-256; what is of another algorithm, or none, cannot be checked."""
    if shard.record.get("checksum") is None:
        return None
    checksum = shard.below("checksum")
    if checksum.optional_text("algorithm") != "sha256":
        return None
    digest = checksum.text("digest", 128).lower()
    if not _SHA256.fullmatch(digest):
        raise checksum.corrupt("digest", "is not a SHA-256 in hex")
    return digest


def _literal(url: str) -> str:
    return url.replace("{", "%7B").replace("}", "%7D")
