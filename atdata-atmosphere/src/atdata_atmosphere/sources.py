"""Shards that records of the network name: fetched whole, checked, and only then read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import IO, Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from atdata.dataset.braces import expand_braces, join_urls
from atdata.dataset.source import as_source
from atdata.dataset.url import ShardSource, redacted, shown_urls
from atdata.errors import (
    CorruptDataError,
    InvalidNameError,
    NotFoundError,
    ShardNotFoundError,
)
from atdata_atmosphere.blob_transfer import download_blob
from atdata_atmosphere.network import Network
from atdata_atmosphere.records.blob_refs import BlobRef, parse_url
from atdata_atmosphere.records.datasets import DatasetRecord
from atdata_atmosphere.syntax import is_did
from atdata_atmosphere.trust import check_allowed, to_web, way_to
from atdata_atmosphere.web import Ask

# What no shard is larger than: a bound on what a stranger can make us write to disk.
MAX_SHARD = 16 << 30
GET_BLOB = "/xrpc/com.atproto.sync.getBlob"


class NetworkSource(ShardSource):
    """Shards at URLs that a stranger wrote: ``https:``, public ``s3:``, and blobs.

    All are checked when the source is made, before anything is asked. ``allow`` are starts of other
    URLs, which are opened as the user's own. ``sha256`` has digests by URL, checked with what is
    fetched; a blob's is in its URL. A picklable value; nothing is open between calls.

    Raises:
        UntrustedInputError: one of the URLs is not for strangers to name.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        network: Network,
        allow: Sequence[str] = (),
        sha256: Mapping[str, str] | None = None,
    ) -> None:
        self._network = network
        self._allow = check_allowed(allow)
        self._urls = tuple(url for pattern in urls for url in expand_braces(pattern))
        self._sha256 = dict(sha256 or {})
        for url in self._urls:
            way_to(url, self._allow)

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        return join_urls(self._urls)

    @property
    def is_remote(self) -> bool:
        """Whether reading ahead is worth it; it is."""
        return True

    def list_shards(self) -> list[str]:
        """Return the URLs of the shards, in order."""
        return list(self._urls)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Fetch a shard, check it, and return it from its start.

        Raises:
            ShardNotFoundError: it is not in the list, or not there.
            CorruptDataError: it is not what its CID or digest says.
            StorageError: a server does not answer.
        """
        if shard_id not in self._known:
            shown = redacted(shard_id)
            raise ShardNotFoundError(f"{shown} is not a shard of {self!r}", shard=shown)
        way = way_to(shard_id, self._allow)
        if way == "allowed":
            return cast("IO[bytes]", as_source([shard_id]).open_shard(shard_id))
        if way == "blob":
            return open_blob(self._network, shard_id)
        address = to_web(shard_id) if way == "bucket" else shard_id
        return open_address(self._network, address, shard_id, self._sha256.get(shard_id))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._urls)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NetworkSource):
            return NotImplemented
        return (self._urls, self._network, self._allow) == (
            other._urls,
            other._network,
            other._allow,
        )

    def __hash__(self) -> int:
        return hash((self._urls, self._network))

    def __repr__(self) -> str:
        return f"NetworkSource({shown_urls(self._urls)!r})"


class BlobSource(ShardSource):
    """Shards in blobs of AT Protocol repositories: maps of ``did`` and ``cid``.

    The server of each is looked up from its DID, unless ``pds_endpoint`` names one for all. Each
    blob is fetched whole and checked against its CID before a sample of it is read. A picklable
    value; nothing is open between calls.
    """

    def __init__(
        self,
        blob_refs: Sequence[Mapping[str, str]],
        pds_endpoint: str | None = None,
        *,
        network: Network | None = None,
    ) -> None:
        self.blob_refs = [_simple(ref) for ref in blob_refs]
        self.pds_endpoint = pds_endpoint
        self._network = network or Network.from_environment()

    @classmethod
    def from_refs(
        cls,
        refs: Sequence[Mapping[str, Any]],
        *,
        pds_endpoint: str | None = None,
        network: Network | None = None,
    ) -> Self:
        """Make a source of maps of ``did`` and ``cid``, or of blob references with a ``did``."""
        if not refs:
            raise CorruptDataError("a source of blobs needs at least one reference", field="refs")
        return cls(refs, pds_endpoint, network=network)

    @classmethod
    def from_urls(cls, urls: Sequence[str], *, network: Network | None = None) -> Self:
        """Make a source of ``at://did/blob/cid`` URLs, or addresses of getBlob."""
        return cls([_from_url(url) for url in urls], network=network)

    @property
    def is_remote(self) -> bool:
        """Whether reading ahead is worth it; it is."""
        return True

    def list_shards(self) -> list[str]:
        """Return the URLs of the blobs, in order."""
        return [f"at://{ref['did']}/blob/{ref['cid']}" for ref in self.blob_refs]

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Fetch a blob, check it, and return it from its start.

        Raises:
            InvalidNameError: that is not the URL of a blob.
            ShardNotFoundError: it is not in the list, or not there.
            CorruptDataError: the bytes are not those of the CID.
        """
        parse_url(shard_id)
        if shard_id not in self.list_shards():
            raise ShardNotFoundError(f"{shard_id} is not a shard of {self!r}", shard=shard_id)
        return open_blob(self._network, shard_id, self.pds_endpoint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BlobSource):
            return NotImplemented
        return (self.blob_refs, self.pds_endpoint) == (other.blob_refs, other.pds_endpoint)

    def __hash__(self) -> int:
        return hash((*self.list_shards(), self.pds_endpoint))

    def __repr__(self) -> str:
        return f"BlobSource({shown_urls(self.list_shards())!r})"


def blob_address(network: Network, did: str, cid: str, endpoint: str | None = None) -> str:
    """Return the web address at which a blob is read."""
    origin = endpoint or network.resolve(did).pds
    return f"{origin.rstrip('/')}{GET_BLOB}?did={did}&cid={cid}"


def open_blob(network: Network, url: str, endpoint: str | None = None) -> IO[bytes]:
    """Fetch a blob by its URL and check it against its CID."""
    did, cid = parse_url(url)
    address = blob_address(network, did, cid, endpoint)
    return _spooled(url, lambda file: download_blob(network.web, address, cid, file, MAX_SHARD))


def open_address(network: Network, address: str, shown: str, sha256: str | None) -> IO[bytes]:
    """Fetch what is at a web address, and check the digest if there is one."""
    return _spooled(shown, lambda file: _download(network, address, file, shown, sha256))


def _spooled(shown: str, fetch: Callable[[IO[bytes]], object]) -> IO[bytes]:
    with ExitStack() as undo:
        file = undo.enter_context(tempfile.TemporaryFile())
        try:
            fetch(file)
        except NotFoundError as error:
            message = f"there is no shard at {redacted(shown)}"
            raise ShardNotFoundError(message, shard=redacted(shown)) from error
        file.seek(0)
        undo.pop_all()
        return cast("IO[bytes]", file)


def _download(
    network: Network, address: str, file: IO[bytes], shown: str, sha256: str | None
) -> None:
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

    network.web.download(Ask(address, max_bytes=MAX_SHARD), start)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise CorruptDataError(
            f"{redacted(shown)} holds other bytes than it should: their SHA-256 is "
            f"{digest.hexdigest()}, expected {sha256}; ask who published it",
            shard=redacted(shown),
            expected=sha256,
            found=digest.hexdigest(),
        )


def record_source(
    record: DatasetRecord, did: str, *, network: Network, allow: Sequence[str] = ()
) -> NetworkSource:
    """Make a source of all shards that a record names, in the repository of a DID."""
    urls = record.storage.data_urls(did)
    digests = {
        url: digest
        for url, digest in zip(urls, record.storage.sha256, strict=True)
        if digest is not None
    }
    return NetworkSource(urls, network=network, allow=allow, sha256=digests)


def _simple(ref: Mapping[str, Any]) -> dict[str, str]:
    """Return the DID and CID of a reference in either form."""
    did = ref.get("did")
    if not isinstance(did, str) or not is_did(did):
        raise CorruptDataError(
            f"{ref!r:.200} names no repository; give did= beside the reference", field="did"
        )
    return {"did": did, "cid": BlobRef.from_record(ref, "a blob reference").cid}


def _from_url(url: str) -> dict[str, str]:
    if url.startswith("at://"):
        did, cid = parse_url(url)
        return {"did": did, "cid": cid}
    parts = urlsplit(url)
    if parts.path != GET_BLOB:
        raise InvalidNameError(
            f"{redacted(url)[:200]!r} is neither at://DID/blob/CID nor the address of a blob",
            url=redacted(url),
        )
    return dict(parse_qsl(parts.query))
