"""Blobs on their way: sent from a file that can be read again, received and checked by CID."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from typing import IO, Any

from atdata.errors import CorruptDataError
from atdata_atmosphere.records.blob_refs import BlobRef, blob_cid, blob_digest
from atdata_atmosphere.web import CHUNK, Ask, Web
from atdata_atmosphere.xrpc import Xrpc

MAX_IN_MEMORY = 1024 * 1024 * 1024


def upload_limit(xrpc: Xrpc) -> int | None:
    """Return the most bytes that the account's own server takes as a blob, if it says so."""
    xrpc.sessions.required()
    answer = xrpc.query(xrpc.sessions.origin, "com.atproto.server.describeServer", {})
    said = answer.get("blobUploadLimit")
    return said if type(said) is int and said > 0 else None


def upload(xrpc: Xrpc, data: bytes | IO[bytes], mime_type: str) -> dict[str, Any]:
    """Upload bytes and return the reference to them, as records hold it."""
    file = io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
    size = file.seek(0, os.SEEK_END)
    digest = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        nonlocal digest
        digest = hashlib.sha256()
        file.seek(0)
        while part := file.read(CHUNK):
            digest.update(part)
            yield part

    nsid = "com.atproto.repo.uploadBlob"
    answer = xrpc.send(nsid, parts, mime_type, size)
    ref = BlobRef.from_record(answer.get("blob"), "the server's answer")
    cid = blob_cid(digest.digest())
    if (ref.cid, ref.size) != (cid, size):
        message = f"the server stored blob {ref.cid} of {ref.size} bytes, sent was {cid} of {size}"
        raise CorruptDataError(message, expected=cid, actual=ref.cid)
    return ref.to_record()


def read_blob(web: Web, url: str, cid: str) -> bytes:
    """Return a blob that was checked."""
    file = io.BytesIO()
    download_blob(web, url, cid, file, MAX_IN_MEMORY)
    return file.getvalue()


def download_blob(web: Web, url: str, cid: str, file: IO[bytes], max_bytes: int) -> int:
    """Write a blob to a file and return its size, or raise if its bytes have another CID."""
    digest = hashlib.sha256()

    def start() -> Callable[[bytes], object]:
        nonlocal digest
        digest = hashlib.sha256()
        file.seek(0)
        file.truncate()
        return take

    def take(part: bytes) -> None:
        digest.update(part)
        file.write(part)

    web.download(Ask(url, max_bytes=max_bytes), start)
    if digest.hexdigest() != blob_digest(cid):
        actual = blob_cid(digest.digest())
        message = f"{url} sends bytes whose CID is {actual}; they are not used"
        raise CorruptDataError(message, expected=cid, actual=actual)
    return file.tell()
