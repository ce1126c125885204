"""Opening URLs that data names: each in the way that the policy for whoever wrote it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import IO, Any, cast

from atdata import plugins
from atdata.dataset.braces import expand_all, join_urls
from atdata.dataset.remote import open_remote, source_kind
from atdata.dataset.source import as_source
from atdata.dataset.url import ShardSource, local_path, shown_urls
from atdata.errors import ShardNotFoundError, UntrustedInputError
from atdata.trust import Policy, Way, redacted, to_web


def check_named(urls: Sequence[str], policy: Policy) -> list[tuple[str, Way]]:
    """Expand URLs and patterns that data names, and tell how each is opened; nothing is opened.

    Raises:
        UntrustedInputError: this data may not name one of them.
        LimitExceededError: there are too many, or one is too long.
    """
    return [(url, _way(url, policy)) for url in expand_all(urls)]


def _way(url: str, policy: Policy) -> Way:
    way = policy.way_to(url)
    scheme = url.partition("://")[0].lower()
    # fsspec would open many more.
    if way == "plugin" and source_kind(scheme) is None:
        shown = redacted(url)[:200]
        raise UntrustedInputError(
            f"{shown!r} is not opened: no plugin of atdata serves {scheme}: URLs; "
            "if you trust who wrote it, pass allow= with the start of the URL",
            url=shown,
            scheme=scheme,
        )
    return way


class NamedSource(ShardSource):
    """Shards at URLs that data names, which are checked now and again when each is opened.

    A picklable value if the policy's stores are; nothing is open between calls.
    """

    def __init__(self, urls: Sequence[str], policy: Policy) -> None:
        self._policy = policy
        self._urls = tuple(url for url, _ in check_named(urls, policy))

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        return join_urls(self._urls)

    @property
    def is_remote(self) -> bool:
        """Whether any of the shards is not a local file."""
        return any(local_path(url) is None for url in self._urls)

    def list_shards(self) -> list[str]:
        """Return the URLs of the shards, in order."""
        return list(self._urls)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading.

        Raises:
            ShardNotFoundError: it is not listed, or not there.
            UntrustedInputError: its server is not a public one.
            StorageError: it cannot be read.
        """
        if shard_id not in self._known:
            shown = redacted(shard_id)
            raise ShardNotFoundError(f"{shown} is not a shard of {self!r}", shard=shown)
        way = _way(shard_id, self._policy)
        if way == "store":
            [owner, *_] = [store for store in self._policy.stores if store.owns(shard_id)]
            source = cast("Any", owner).create_source([shard_id])
            return cast("IO[bytes]", source.open_shard(shard_id))
        if self._policy.is_public_only and way == "web":
            return open_remote(shard_id, redacted(shard_id), public_only=True)
        if self._policy.is_public_only and way == "bucket":
            return _open_without_keys(shard_id, self._policy)
        return cast("IO[bytes]", as_source([shard_id]).open_shard(shard_id))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._urls)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NamedSource):
            return NotImplemented
        return (self._urls, self._policy) == (other._urls, other._policy)

    def __hash__(self) -> int:
        return hash(self._urls)

    def __repr__(self) -> str:
        return f"NamedSource({shown_urls(self._urls)!r})"


def _open_without_keys(url: str, policy: Policy) -> IO[bytes]:
    if policy.writer == "network record":
        # Not the server that the user's settings name, whose bucket of that name is another.
        return open_remote(to_web(url), redacted(url), public_only=True)
    kind: Any = plugins.load("data source", "s3")
    source = kind.from_urls([url], anonymous=True)
    return cast("IO[bytes]", source.open_shard(url))
