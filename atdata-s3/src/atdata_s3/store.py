"""``S3DataStore``: shards as objects below a prefix of a bucket."""

# ruff: noqa: D102 -- DataStore documents what every store does.

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Any, cast

from atdata.dataset import Dataset, as_source
from atdata.dataset.braces import expand_braces
from atdata.errors import InvalidNameError, ShardNotFoundError
from atdata.stores.store import DEFAULT_MAXCOUNT, DEFAULT_MAXSIZE, DataStore, Leftover
from atdata_s3.access import Access, Credentials, make_access, server_of
from atdata_s3.clients import client_of, remember
from atdata_s3.failures import ask
from atdata_s3.names import S3Object, can_begin_key, check_bucket
from atdata_s3.patterns import pages
from atdata_s3.source import S3Source
from atdata_s3.stream import ObjectStream
from atdata_s3.uploads import UPLOAD, abort, upload

_SUFFIX = ".tar"
_PATTERN = re.compile(r"[\\{}]")
_LONGEST_LIFE = 7 * 24 * 3600


class S3DataStore(DataStore):
    """Keeps shards in a bucket, which exists; their URLs are ``s3://bucket/prefix/name``.

    ``credentials`` is a mapping with ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and
    optionally ``AWS_SESSION_TOKEN``, ``AWS_ENDPOINT`` and ``AWS_REGION``, or the path of a
    ``.env`` file with these; without keys, the SDK finds them where it always does. Pickling
    includes the keys that were given, never those that were found; neither are shown.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
    ) -> None:
        check_bucket(bucket)
        self._bucket = bucket
        self._prefix = f"{stripped}/" if (stripped := prefix.strip("/")) else ""
        if self._prefix:
            S3Object(bucket, self._prefix)
            _refuse_patterns(self._prefix, "be a prefix")
        self._access = make_access(credentials, endpoint, endpoint_url, region)

    @property
    def bucket(self) -> str:
        """The bucket that all shards are in."""
        return self._bucket

    @property
    def prefix(self) -> str:
        """What all keys begin with: nothing, or something that ends with a slash."""
        return self._prefix

    @property
    def credentials(self) -> dict[str, str]:
        """What was given to reach the bucket, secrets included, by its ``AWS_*`` name."""
        return self._access.to_credentials()

    def write_shards(
        self,
        ds: Dataset[Any],
        *,
        prefix: str,
        maxcount: int = DEFAULT_MAXCOUNT,
        maxsize: int = DEFAULT_MAXSIZE,
        cache_local: bool = False,  # noqa: ARG002 -- documented; shards are always spooled locally
    ) -> builtins.list[str]:
        return super().write_shards(ds, prefix=prefix, maxcount=maxcount, maxsize=maxsize)

    def put(self, name: str, shard: IO[bytes]) -> str:
        _refuse_patterns(name, "name a shard")
        if not all(name.split("/")):
            raise InvalidNameError(
                f"{name!r:.300} cannot name a shard: a part between slashes is empty", name=name
            )
        target = S3Object(self._bucket, self._prefix + name)
        upload(self._client, target, shard)
        # What was just written is often opened by its URL alone.
        remember(self._bucket, self._access)
        return target.url

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        target = self._own(url)
        return cast("IO[bytes]", ObjectStream(self._client, target, offset))

    def list(self, prefix: str = "") -> Iterator[str]:
        for page in self._pages("list_objects_v2", prefix):
            for found in page.get("Contents", ()):
                if found["Key"].endswith(_SUFFIX):
                    yield f"s3://{self._bucket}/{found['Key']}"

    def delete(self, url: str) -> None:
        target, client = self._own(url), self._client
        # Deleting what is not there succeeds.
        ask(url, client.head_object, **target.arguments)
        ask(url, client.delete_object, **target.arguments)

    def owns(self, url: str) -> bool:
        return url.startswith(f"s3://{self._bucket}/")

    def create_source(self, urls: Sequence[str]) -> Any:
        shards = [shard for url in urls for shard in expand_braces(url)]
        own = [self.owns(shard) for shard in shards]
        if not any(own):
            return as_source(shards)
        if not all(own):
            raise InvalidNameError(
                f"one source reads one bucket; {shards[own.index(False)]!r:.300} is not in "
                f"{self._bucket}"
            )
        keys = [S3Object.from_url(shard).key for shard in shards]
        return S3Source(self._bucket, keys, credentials=self._access)

    def read_url(self, url: str, *, expires: int | None = None) -> str:
        """Turn a stored URL into one that web clients open, where an endpoint was given.

        With ``expires``, a number of seconds of at most a week, whoever has the result may read the
        shard for so long: it is signed with this store's keys, so do not keep it anywhere.
        """
        if expires is not None:
            return self._presigned(url, expires)
        if self._access.endpoint is None or not url.lower().startswith("s3://"):
            return url
        return S3Object.from_url(url).web_url(self._access.endpoint)

    def identify(self) -> str:
        # The SDK may have found the endpoint, and the same bucket of another server is another.
        server = server_of(self._client.meta.endpoint_url)
        return f"{server} s3://{self._bucket}/{self._prefix}"

    def leftovers(self, prefix: str, token: str) -> Iterator[Leftover]:
        yield from super().leftovers(prefix, token)
        for page in self._pages("list_multipart_uploads", f"{prefix}/"):
            for begun in page.get("Uploads", ()):
                if f"/data--{token}--" in begun["Key"]:
                    url = S3Object(self._bucket, begun["Key"]).url
                    yield Leftover(UPLOAD, url, begun["UploadId"])

    def remove(self, leftover: Leftover) -> None:
        if leftover.kind == UPLOAD:
            abort(self._client, self._own(leftover.url), leftover.id)
        else:
            super().remove(leftover)

    def _presigned(self, url: str, expires: int) -> str:
        if not 0 < expires <= _LONGEST_LIFE:
            raise ValueError(f"a signed URL expires after 1 to {_LONGEST_LIFE} seconds")
        sign = self._client.generate_presigned_url
        arguments = {"Params": self._own(url).arguments, "ExpiresIn": expires}
        return cast("str", ask(url, partial(sign, "get_object"), **arguments))

    def _pages(self, act: str, prefix: str) -> Iterator[Any]:
        start = self._prefix + prefix
        # Prefixes may come from records of an index; servers answer these with errors.
        return pages(self._client, act, self._bucket, start) if can_begin_key(start) else iter(())

    def _own(self, url: str) -> S3Object:
        if not url.startswith(f"s3://{self._bucket}/{self._prefix}"):
            raise ShardNotFoundError(f"{url!r:.300} is not a shard of {self!r}", shard=url)
        return S3Object.from_url(url)

    @property
    def _client(self) -> Any:
        return client_of(self._bucket, self._access)

    @property
    def _identity(self) -> tuple[str, str, Access]:
        return self._bucket, self._prefix, self._access

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3DataStore) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        prefix = f", prefix={self._prefix!r}" if self._prefix else ""
        return f"S3DataStore(bucket={self._bucket!r}{prefix}{self._access.shown})"


def _refuse_patterns(name: str, purpose: str) -> None:
    # They would be expanded when the URL is read back as a pattern.
    if _PATTERN.search(name):
        raise InvalidNameError(
            f"{name!r:.300} cannot {purpose}: leave braces and backslashes out", name=name
        )
