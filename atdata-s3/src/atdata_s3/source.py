"""``S3Source``: shards that are objects in one bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import IO, Any, Self, cast

from atdata.dataset.braces import expand_braces
from atdata.dataset.url import ShardSource, shown_urls
from atdata.errors import InvalidNameError, NoDataFilesError, ShardNotFoundError
from atdata_s3.access import Access, Credentials, make_access
from atdata_s3.clients import client_for
from atdata_s3.names import S3Object, check_bucket
from atdata_s3.patterns import find_keys
from atdata_s3.stream import ObjectStream


class S3Source(ShardSource):
    """Shards under some keys of a bucket; their identifiers are ``s3:`` URLs.

    Access keys are given outright, or as ``credentials`` like those of ``S3DataStore``. A source
    that is told nothing of access has that of the store which first wrote to the bucket in this
    process, unless stores wrote to buckets of that name on several servers, or else what the SDK
    finds. Where that finds no keys, or with ``anonymous``, only what everyone may read is read. An
    immutable value, safe to share between threads and processes.
    Pickling includes the keys that were given to it, and no others; none are shown.
    """

    def __init__(  # noqa: PLR0913 -- documented so
        self,
        bucket: str,
        keys: Sequence[str],
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str | None = None,
        *,
        endpoint_url: str | None = None,
        credentials: Credentials | None = None,
        anonymous: bool = False,
    ) -> None:
        if access_key is not None or secret_key is not None:
            if credentials is not None:
                raise TypeError("keys are given alone or in credentials, not both")
            credentials = Access(access_key=access_key, secret_key=secret_key)
        access = make_access(credentials, endpoint, endpoint_url, region)
        check_bucket(bucket)
        self._bucket = bucket
        # A sequence of one-letter keys otherwise.
        self._keys = (keys,) if isinstance(keys, str) else tuple(keys)
        self._objects = {one.url: one for one in (S3Object(bucket, key) for key in self._keys)}
        self._access = replace(access, anonymous=True) if anonymous else access

    @classmethod
    def from_credentials(
        cls, credentials: Credentials, bucket: str, keys: Sequence[str], **options: Any
    ) -> Self:
        """Make a source of credentials as ``S3DataStore`` takes them."""
        return cls(bucket, keys, credentials=credentials, **options)

    @classmethod
    def from_urls(cls, urls: Sequence[str], **options: Any) -> Self:
        """Make a source of ``s3:`` URLs or brace patterns, all of one bucket.

        The options are those of the constructor. ``InvalidNameError``, a ``ValueError``, if one is
        no such URL or of another bucket.
        """
        patterns = [urls] if isinstance(urls, str) else urls
        objects = [S3Object.from_url(url) for one in patterns for url in expand_braces(one)]
        buckets = sorted({one.bucket for one in objects})
        if len(buckets) > 1:
            raise InvalidNameError(f"one source reads one bucket, not {' and '.join(buckets)}")
        if not buckets:
            raise NoDataFilesError("a source is made from at least one URL; the list is empty")
        return cls(buckets[0], [one.key for one in objects], **options)

    @classmethod
    def find_urls(cls, pattern: str) -> list[str]:
        """Return the URLs of the objects that a pattern with ``*``, ``?`` or ``[...]`` stands for.

        ``load_dataset`` asks this; keys are those that the SDK finds.
        """
        target = S3Object.from_url(pattern)
        keys = find_keys(client_for(target.bucket, Access()), target)
        return [S3Object(target.bucket, key).url for key in keys]

    @property
    def bucket(self) -> str:
        """The bucket that all shards are in."""
        return self._bucket

    @property
    def keys(self) -> list[str]:
        """The keys of the shards, in order."""
        return list(self._keys)

    @property
    def endpoint(self) -> str | None:
        """The server's address, None where the SDK knows it."""
        return self._access.endpoint

    @property
    def region(self) -> str | None:
        """The region that was given."""
        return self._access.region

    @property
    def is_remote(self) -> bool:
        """True: shards are worth reading ahead."""
        return True

    def list_shards(self) -> list[str]:
        """Return the URLs of all shards, in order."""
        return [S3Object(self._bucket, key).url for key in self._keys]

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading; ``ShardNotFoundError`` if it is not listed or not there."""
        target = self._objects.get(shard_id)
        if target is None:
            raise ShardNotFoundError(f"{shard_id} is not a shard of {self!r}", shard=shard_id)
        return cast("IO[bytes]", ObjectStream(client_for(self._bucket, self._access), target))

    @property
    def _identity(self) -> tuple[str, tuple[str, ...], Access]:
        return self._bucket, self._keys, self._access

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), credentials=self._access), (self._bucket, self._keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, S3Source):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        shown = shown_urls(self.list_shards())
        return f"S3Source({shown!r}{self._access.shown})"
