"""``PDSBlobStore``: shards as blobs of the account's own repository."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from atdata.errors import CorruptDataError, EmptyDatasetError, LimitExceededError
from atdata.shards import ShardDigest, ShardWriter
from atdata.stores import ShardInfo
from atdata_atmosphere.journal import UploadJournal
from atdata_atmosphere.records.blob_refs import TAR, blob_cid, parse_url, to_url
from atdata_atmosphere.sources import BlobSource

if TYPE_CHECKING:
    from atdata.dataset import Dataset
    from atdata_atmosphere.client import AtmosphereClient

# What the widespread servers take, and more would keep readers waiting for their first sample.
FIRST_LIMIT = 50_000_000
SMALLEST_LIMIT = 16_384
MAXCOUNT = 10_000
_BLOCK = 512
_END = 1024

Packed = tuple[str, bytes]


class PDSBlobStore:
    """Writes shards as blobs to the server of a client's account, and reads blobs of anybody's.

    A shard is no larger than the server says it takes. One that takes less, or does not say, gets
    smaller ones, and is remembered for it.
    Uploaded shards are noted, so that the same samples written again are not uploaded again.
    Blobs last once a record refers to them; ``AtmosphereIndex(client, data_store=...)`` publishes
    one. ``progress`` is called with each shard that is there.
    """

    def __init__(
        self, client: AtmosphereClient, *, progress: Callable[[ShardInfo], object] | None = None
    ) -> None:
        self._client = client
        self._progress = progress

    @property
    def client(self) -> AtmosphereClient:
        """The client that blobs are uploaded through."""
        return self._client

    @property
    def journal(self) -> UploadJournal:
        """What was uploaded and not yet published."""
        return UploadJournal(self._client.did, self._client.base_url)

    def write_shards(
        self,
        ds: Dataset[Any],
        *,
        prefix: str,
        maxcount: int = MAXCOUNT,
        maxsize: float | None = None,
    ) -> list[str]:
        """Upload a dataset's samples as shards and return their URLs, ``at://did/blob/cid``.

        Blobs have no names, so ``prefix`` is only said in errors. A shard has up to ``maxsize``
        bytes, 50 MB by default, or as many as the server takes if that is less.

        Raises:
            AuthenticationError: nobody is logged in.
            EmptyDatasetError: there are no samples.
            LimitExceededError: one sample is larger than the server takes.
        """
        return [shard.url for shard in self.write_samples(ds, prefix, maxcount, maxsize)]

    def write_samples(
        self,
        samples: Iterable[Any],
        prefix: str,
        maxcount: int = MAXCOUNT,
        maxsize: float | None = None,
        *,
        split: str | None = None,
        at_most: int | None = None,
    ) -> list[ShardInfo]:
        """Upload packable samples as shards and return what is known of each.

        ``LimitExceededError`` as soon as there are more than ``at_most``.
        """
        wanted = int(FIRST_LIMIT if maxsize is None else maxsize)
        if maxcount < 1 or wanted < 1:
            raise ValueError("maxcount and maxsize are at least 1")
        packed = ((f"{number:09d}", one.packed) for number, one in enumerate(samples))
        shards: list[ShardInfo] = []
        for shard in _Upload(self, maxcount, wanted, split).run(packed):
            if len(shards) == at_most:
                raise LimitExceededError(
                    f"the samples below {prefix!r} make more shards than one record names; "
                    "give a larger maxcount or maxsize, or publish them as several datasets",
                    limit=at_most,
                )
            shards.append(shard)
        if not shards:
            raise EmptyDatasetError(
                f"there are no samples to write below {prefix!r}", prefix=prefix
            )
        return shards

    def read_url(self, url: str) -> str:
        """Return the web address of a blob; ``ValueError`` if the URL is none of a blob."""
        return self._client.get_blob_url(*parse_url(url))

    def supports_streaming(self) -> bool:
        """Whether shards can be read over the network; they can."""
        return True

    def create_source(self, urls: Sequence[str]) -> BlobSource:
        """Make a data source of ``at://did/blob/cid`` URLs."""
        return BlobSource.from_urls(urls, network=self._client.network)

    def tell(self, shard: ShardInfo) -> None:
        """Report that a shard is there."""
        if self._progress is not None:
            self._progress(shard)

    def __repr__(self) -> str:
        return f"PDSBlobStore({self._client!r})"


class _Upload:
    """One stream of samples on its way: cut into shards, each tried until the server takes it."""

    def __init__(self, store: PDSBlobStore, maxcount: int, wanted: int, split: str | None) -> None:
        self._store = store
        self._client = store.client
        self._journal = store.journal
        self._maxcount = maxcount
        self._most = self._client.get_upload_limit()
        limits = (wanted, self._most, self._journal.limit)
        self._limit = min(limit for limit in limits if limit is not None)
        self._split = split

    def run(self, packed: Iterator[Packed]) -> Iterator[ShardInfo]:
        """Yield what is known of each shard once it is there."""
        while (first := next(packed, None)) is not None:
            with tempfile.TemporaryFile() as file:
                left, digest = self._fill(file, chain([first], packed))
                # The sample that was one too many.
                packed = chain(left, packed)
                if self._send(file, digest):
                    shard = self._described(digest)
                    self._store.tell(shard)
                    yield shard
                else:
                    packed = chain(_payloads(file), packed)

    def _fill(
        self, file: IO[bytes], packed: Iterator[Packed]
    ) -> tuple[Sequence[Packed], ShardDigest]:
        """Write samples until the next would be one too many, which is returned."""
        writer = ShardWriter(file)
        for key, payload in packed:
            size = writer.bytes + _BLOCK + -(-len(payload) // _BLOCK) * _BLOCK + _END
            if writer.count and (size > self._limit or writer.count >= self._maxcount):
                return [(key, payload)], writer.finish()
            writer.write(key, payload)
        return (), writer.finish()

    def _send(self, file: IO[bytes], digest: ShardDigest) -> bool:
        """Upload a shard unless it is there; False if it is too large for the server."""
        cid = blob_cid(bytes.fromhex(digest.sha256))
        if self._journal.has(cid):
            return True
        if self._most is not None and digest.bytes > self._most:
            raise _one_sample_too_large(digest)
        try:
            ref = self._client.upload_blob(file, TAR)
        except LimitExceededError:
            self._shrink(digest)
            return False
        if ref["ref"]["$link"] != cid:
            raise CorruptDataError(
                f"the server says that the shard it got is {ref['ref']['$link']}, not {cid}",
                expected=cid,
            )
        self._journal.add(cid)
        return True

    def _shrink(self, digest: ShardDigest) -> None:
        if digest.count == 1 or self._limit <= SMALLEST_LIMIT:
            raise _one_sample_too_large(digest)
        self._limit = min(digest.bytes, self._limit) // 2
        self._journal.limit = self._limit

    def _described(self, digest: ShardDigest) -> ShardInfo:
        url = to_url(self._client.did, blob_cid(bytes.fromhex(digest.sha256)))
        return ShardInfo(url, digest.count, digest.bytes, digest.sha256, self._split)


def _one_sample_too_large(digest: ShardDigest) -> LimitExceededError:
    return LimitExceededError(
        f"the server takes no blobs of {digest.bytes} bytes, which one sample needs; "
        "make samples smaller, or publish the dataset by its URLs",
        size=digest.bytes,
    )


def _payloads(file: IO[bytes]) -> list[Packed]:
    """Read back a shard that was just written."""
    file.seek(0)
    found = []
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None  # noqa: S101 -- we wrote files and nothing else
            found.append((member.name.removesuffix(".msgpack"), content.read()))
    return found
