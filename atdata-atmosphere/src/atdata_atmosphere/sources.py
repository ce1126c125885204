"""Shards that records of the network name: fetched whole, checked, and only then read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import IO, Any, NamedTuple, Self, cast
from urllib.parse import parse_qsl, urlsplit

from atdata.dataset.braces import expand_all, join_urls
from atdata.dataset.source import as_source
from atdata.dataset.url import ShardSource, shown_urls
from atdata.errors import (
    CorruptDataError,
    InvalidNameError,
    NotFoundError,
    ShardNotFoundError,
)
from atdata.trust import Policy, check_allowed, redacted, to_web
from atdata_atmosphere.blob_transfer import download_blob
from atdata_atmosphere.network import Network
from atdata_atmosphere.records.blob_refs import BlobRef, parse_url
from atdata_atmosphere.records.datasets import DatasetRecord
from atdata_atmosphere.syntax import is_did
from atdata_atmosphere.web import CHUNK, Ask

# What no shard is larger than: a bound on what a stranger can make us write to disk.
MAX_SHARD = 16 << 30
GET_BLOB = "/xrpc/com.atproto.sync.getBlob"


class Expected(NamedTuple):
    """What a record says of a shard: its SHA-256 in hex and its bytes, None where it does not."""

    sha256: str | None = None
    size: int | None = None


class NetworkSource(ShardSource):
    """Shards at URLs that a stranger wrote: ``https:``, public ``s3:``, and blobs.

    All are checked when the source is made, before anything is asked. ``allow`` are starts of other
    URLs, which are opened as the user's own. ``expected`` says by URL what must be found there; a
    blob's digest is in its URL. A picklable value; nothing is open between calls.

    Raises:
        UntrustedInputError: one of the URLs is not for strangers to name.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        network: Network,
        allow: Sequence[str] = (),
        expected: Mapping[str, Expected] | None = None,
    ) -> None:
        self._network = network
        self._policy = Policy("network record", check_allowed(allow))
        self._urls = tuple(expand_all(urls))
        self._expected = dict(expected or {})
        for url in self._urls:
            if self._policy.way_to(url) == "blob":
                parse_url(url)

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        return join_urls(self._urls)

    @property
    def is_remote(self) -> bool:
        """Whether reading ahead is worth it; it is."""
        return True

    @property
    def checks_digests(self) -> bool:
        """Whether shards are compared with their digests before they are returned; they are."""
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
        way, expected = self._policy.way_to(shard_id), self._expected.get(shard_id, Expected())
        if way == "allowed":
            return _open_own(shard_id, expected)
        if way == "blob":
            return open_blob(self._network, shard_id, max_bytes=expected.size)
        address = to_web(shard_id) if way == "bucket" else shard_id
        return _open_address(self._network, address, shard_id, expected)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._urls)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NetworkSource):
            return NotImplemented
        return (self._urls, self._network, self._policy) == (
            other._urls,
            other._network,
            other._policy,
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
        self._sizes = [BlobRef.from_record(ref, "a blob reference").size for ref in blob_refs]
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
        sizes = dict(zip(self.list_shards(), self._sizes, strict=True))
        if shard_id not in sizes:
            raise ShardNotFoundError(f"{shard_id} is not a shard of {self!r}", shard=shard_id)
        return open_blob(self._network, shard_id, self.pds_endpoint, sizes[shard_id])

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
    origin = endpoint or network.home(did)
    return f"{origin.rstrip('/')}{GET_BLOB}?did={did}&cid={cid}"


def open_blob(
    network: Network, url: str, endpoint: str | None = None, max_bytes: int | None = None
) -> IO[bytes]:
    """Fetch a blob by its URL and check it against its CID."""
    did, cid = parse_url(url)
    address = blob_address(network, did, cid, endpoint)
    limit = MAX_SHARD if max_bytes is None else max_bytes
    return _spooled(url, lambda file: download_blob(network.web, address, cid, file, limit))


def _open_address(network: Network, address: str, shown: str, expected: Expected) -> IO[bytes]:
    return _spooled(shown, lambda file: _download(network, address, file, shown, expected))


def _open_own(url: str, expected: Expected) -> IO[bytes]:
    """Open a URL that the user allowed; where a digest is known it is checked first."""
    stream = cast("IO[bytes]", as_source([url]).open_shard(url))
    if expected.sha256 is None:
        return stream

    def copy(file: IO[bytes]) -> None:
        digest = hashlib.sha256()
        while part := stream.read(CHUNK):
            digest.update(part)
            file.write(part)
        _check_digest(digest.hexdigest(), expected, url)

    with stream:
        return _spooled(url, copy)


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
    network: Network, address: str, file: IO[bytes], shown: str, expected: Expected
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

    limit = MAX_SHARD if expected.size is None else expected.size
    network.web.download(Ask(address, max_bytes=limit), start)
    _check_digest(digest.hexdigest(), expected, shown)


def _check_digest(found: str, expected: Expected, url: str) -> None:
    if expected.sha256 in (None, found):
        return
    raise CorruptDataError(
        f"{redacted(url)} holds other bytes than it should: their SHA-256 is {found}, "
        f"expected {expected.sha256}; ask who published it",
        shard=redacted(url),
        expected=expected.sha256,
        found=found,
    )


def expectations(record: DatasetRecord, did: str) -> dict[str, Expected]:
    """Return what a record says of each shard, by URL."""
    storage = record.storage
    urls = storage.data_urls(did)
    sizes = [blob.size for blob in storage.blobs] or [None] * len(urls)
    found = {
        url: Expected(sha256, size)
        for url, sha256, size in zip(urls, storage.sha256, sizes, strict=True)
        if sha256 is not None
    }
    if record.facts is None or storage.blobs:
        return found
    expanded = expand_all(urls)
    if len(record.facts) == len(expanded):
        known = zip(expanded, record.facts, strict=True)
        found |= {url: Expected(fact.sha256, fact.bytes) for url, fact in known}
    return found


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
