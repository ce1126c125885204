"""Shards behind URLs and paths: local files, and whatever fsspec opens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import IO, Any, Literal, Self, cast

from atdata.errors import (
    InvalidNameError,
    LimitExceededError,
    PluginNotFoundError,
    ShardNotFoundError,
    StorageError,
)
from atdata.dataset.compressed import open_gzip

MAX_SHARDS = 100_000

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class Shards:
    """Pairs of identifier and open stream; iterated or called, as both are documented."""

    def __init__(self, ids: Sequence[str], open_shard: Callable[[str], IO[bytes]]) -> None:
        self._ids = ids
        self._open = open_shard

    def __iter__(self) -> Iterator[tuple[str, IO[bytes]]]:
        for shard_id in self._ids:
            with self._open(shard_id) as stream:
                yield shard_id, stream

    def __call__(self) -> Iterator[tuple[str, IO[bytes]]]:
        return iter(self)


class ShardSource:
    """Base of data sources: from ``list_shards`` and ``open_shard`` follow the other spellings."""

    def list_shards(self) -> list[str]:
        """Return the identifiers of all shards, in order."""
        raise NotImplementedError

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading from its start; the caller closes it."""
        raise NotImplementedError

    @property
    def shard_list(self) -> list[str]:
        """The identifiers of all shards, in order."""
        return self.list_shards()

    @property
    def shards(self) -> Shards:
        """Pairs of identifier and open stream, each closed when the next is asked for."""
        return Shards(self.list_shards(), self.open_shard)


class URLSource(ShardSource):
    """Shards at URLs or paths, each of which may be a brace pattern like ``data-{000..099}.tar``.

    Local paths are opened directly, URLs through fsspec. Compressed archives are opened only with
    ``compression="gzip"``. An immutable, picklable value, safe to share between threads and
    processes: nothing is open between calls.
    """

    def __init__(
        self, url: str | Sequence[str], *, compression: Literal["gzip"] | None = None
    ) -> None:
        self._urls = (url,) if isinstance(url, str) else tuple(url)
        self._compression = compression

    @classmethod
    def from_urls(cls, urls: Sequence[str]) -> Self:
        """Make a source of several URLs or patterns."""
        return cls(urls)

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        return join_urls(self._urls)

    def list_shards(self) -> list[str]:
        """Expand the patterns, in order; no file is looked at."""
        return list(self._shards)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading; ``ShardNotFoundError`` if it is not listed or not there."""
        if shard_id not in self._shards:
            raise ShardNotFoundError(
                f"{redacted(shard_id)} is not a shard of {redacted(self.url)}", shard=shard_id
            )
        stream = open_url(shard_id)
        return open_gzip(stream, redacted(shard_id)) if self._compression else stream

    @cached_property
    def _shards(self) -> dict[str, None]:
        return dict.fromkeys(shard for url in self._urls for shard in expand_braces(url))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._urls, self._compression)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, URLSource):
            return NotImplemented
        return (self._urls, self._compression) == (other._urls, other._compression)

    def __hash__(self) -> int:
        return hash((self._urls, self._compression))

    def __repr__(self) -> str:
        return f"URLSource({redacted(self.url)!r})"


def _rebuild(kind: type[URLSource], urls: tuple[str, ...], compression: Any) -> URLSource:
    return kind(urls, compression=compression)


def expand_braces(pattern: str) -> list[str]:
    """Expand a brace pattern as a shell does.

    Raises:
        InvalidNameError: the braces are unbalanced.
        LimitExceededError: it stands for more than ``MAX_SHARDS`` shards.
    """
    if "{" not in pattern and "}" not in pattern:
        return [pattern]
    _check_ranges(pattern)
    import braceexpand

    try:
        # Without escapes, as backslashes are path separators to some.
        found = list(islice(braceexpand.braceexpand(pattern, escape=False), MAX_SHARDS + 1))
    except ValueError as error:
        raise InvalidNameError(f"the braces of {pattern!r:.200} do not match up") from error
    if len(found) > MAX_SHARDS:
        raise _too_many(pattern)
    return found


def _check_ranges(pattern: str) -> None:
    """Refuse what would expand to more shards than anyone has, before expanding it."""
    total = 1
    for group in re.findall(r"\{([^{}]*)\}", pattern):
        if numbers := re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?", group):
            total *= abs(int(numbers[2][:20]) - int(numbers[1][:20])) + 1
        else:
            total *= group.count(",") + 1
    if total > MAX_SHARDS:
        raise _too_many(pattern)


def _too_many(pattern: str) -> LimitExceededError:
    return LimitExceededError(
        f"{pattern!r:.200} stands for more than {MAX_SHARDS} shards; split the dataset", pattern=pattern
    )


def join_urls(urls: Sequence[str]) -> str:
    """Write several URLs as one brace pattern: common start, alternatives, common end."""
    if len(urls) == 1:
        return urls[0]
    start = os.path.commonprefix(urls)
    rests = [url[len(start) :] for url in urls]
    end = os.path.commonprefix([rest[::-1] for rest in rests])[::-1]
    middles = [rest[: len(rest) - len(end)] for rest in rests]
    return f"{start}{{{','.join(middles)}}}{end}"


def redacted(url: str) -> str:
    """Return a URL without what may be secret in it: user, password and query."""
    return re.sub(r"(://)[^/@]*@", r"\1***@", re.sub(r"(://[^?]*\?).*", r"\1***", url))


def open_url(url: str) -> IO[bytes]:
    """Open a local path or a URL for reading, unbuffered where it is local.

    Raises:
        ShardNotFoundError: there is nothing there.
        StorageError: it cannot be read.
        PluginNotFoundError: no installed package opens such URLs.
    """
    path = local_path(url)
    try:
        return open(path, "rb", buffering=0) if path is not None else _open_remote(url)
    except FileNotFoundError as error:
        raise ShardNotFoundError(f"there is no shard at {redacted(url)}", shard=url) from error
    except OSError as error:
        raise StorageError(f"{redacted(url)} cannot be read: {type(error).__name__}", url=url) from error


def local_path(url: str) -> str | None:
    """Return the path that a path or ``file:`` URL means, None for any other URL."""
    match = _URL.match(url)
    if match is None:
        return os.path.expanduser(url)
    if match[1].lower() != "file":
        return None
    from urllib.request import url2pathname

    return url2pathname(url[match.end() :].removeprefix("localhost"))


def _open_remote(url: str) -> IO[bytes]:
    # 79 ms, and needed for remote shards alone.
    import fsspec

    try:
        return cast("IO[bytes]", fsspec.open(url, "rb").open())
    except (ImportError, ValueError) as error:
        scheme = url.partition(":")[0]
        raise PluginNotFoundError(
            f"nothing installed opens {scheme}: URLs ({error}); "
            "install an atdata plugin or the fsspec package for it",
            scheme=scheme,
        ) from error
