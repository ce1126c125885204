"""Shards behind URLs and paths: local files, and whatever fsspec opens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import IO, Any, Literal, Self

from atdata.dataset.braces import expand_braces, join_urls
from atdata.dataset.remote import open_remote
from atdata.errors import DataFilesError, InvalidNameError, ShardNotFoundError, StorageError
from atdata.shards.compressed import open_gzip
from atdata.trust import redacted

__all__ = ["ShardSource", "Shards", "URLSource", "local_path", "open_url", "redacted", "shown_urls"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_WILDCARD = re.compile(r"[*?\[]")


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
        """Iterate from the first shard on."""
        return iter(self)


class ShardSource:
    """Base of data sources: from ``list_shards`` and ``open_shard`` follow the other spellings."""

    @property
    def is_remote(self) -> bool:
        """Whether opening and reading shards is worth doing ahead, in a thread."""
        return False

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

    Local paths are opened directly, web URLs by ``dataset.web``, others through fsspec. With
    ``compression="gzip"`` what is opened is decompressed, and must be compressed so; datasets also
    find that out by themselves. An immutable, picklable value, safe to share between threads and
    processes: nothing is open between calls.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        compression: Literal["gzip"] | None = None,
    ) -> None:
        urls = [url] if isinstance(url, str | os.PathLike) else url
        self._urls = tuple(os.fspath(one) for one in urls)
        if compression not in (None, "gzip"):
            raise ValueError(f"compression is 'gzip' or None, not {compression!r:.80}")
        self._compression = compression

    @classmethod
    def from_urls(cls, urls: Sequence[str]) -> Self:
        """Make a source of several URLs or patterns."""
        return cls(urls)

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        return self._urls[0] if len(self._urls) == 1 else join_urls(self._shards)

    @property
    def is_remote(self) -> bool:
        """Whether any of the shards is not a local file."""
        return any(local_path(url) is None for url in self._urls)

    def list_shards(self) -> list[str]:
        """Expand the patterns, in order; no file is looked at."""
        return list(self._shards)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading; ``ShardNotFoundError`` if it is not listed or not there."""
        if shard_id not in self._known:
            shown = redacted(shard_id)
            raise ShardNotFoundError(f"{shown} is not a shard of {self!r}", shard=shown)
        stream = self._open(shard_id)
        return open_gzip(stream, redacted(shard_id)) if self._compression else stream

    def _open(self, url: str) -> IO[bytes]:
        return open_url(url)

    @cached_property
    def _shards(self) -> tuple[str, ...]:
        shards = tuple(shard for url in self._urls for shard in expand_braces(url))
        check_distinct(shards, _place if len(self._urls) > 1 else str)
        return shards

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._shards)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._urls, self._compression)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, URLSource):
            return NotImplemented
        return (self._urls, self._compression) == (other._urls, other._compression)

    def __hash__(self) -> int:
        return hash((self._urls, self._compression))

    def __repr__(self) -> str:
        return f"URLSource({shown_urls(self._urls)!r})"


def _rebuild(kind: type[URLSource], urls: tuple[str, ...], compression: Any) -> URLSource:
    return kind(urls, compression=compression)


def check_distinct(shards: Sequence[str], place: Callable[[str], str] = str) -> None:
    """Raise ``DataFilesError`` if two shards are in one place: their samples would come twice."""
    first: dict[str, str] = {}
    for shard in shards:
        where = place(shard)
        if where in first:
            names = list(dict.fromkeys(map(redacted, (first[where], shard))))
            raise DataFilesError(
                f"a dataset reads each shard once, and this names {' and '.join(names)} twice; "
                "name it once",
                shards=names,
            )
        first[where] = shard


def _place(url: str) -> str:
    """Return where a shard lies, in one spelling if it is a local file."""
    path = local_path(url)
    return url if path is None else os.path.abspath(path)


def shown_urls(urls: Sequence[str]) -> str:
    """Return what a repr may say of some URLs: the first without secrets, and how many more."""
    more = f" and {len(urls) - 1} more" if len(urls) > 1 else ""
    return f"{redacted(urls[0])}{more}" if urls else "no shards"


def open_url(url: str) -> IO[bytes]:
    """Open a local path or a URL for reading, unbuffered where it is local.

    Raises:
        ShardNotFoundError: there is nothing there.
        StorageError: it cannot be read.
        PluginNotFoundError: no installed package opens such URLs.
    """
    path = local_path(url)
    shown = redacted(url)
    if path is None:
        return open_remote(url, shown)
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError as error:
        hint = "; load_dataset also takes wildcards and folders" if _WILDCARD.search(path) else ""
        raise ShardNotFoundError(f"there is no shard at {shown}{hint}", shard=shown) from error
    except IsADirectoryError as error:
        raise StorageError(
            f"{shown} is a folder, not a shard; load_dataset reads folders", url=shown
        ) from error
    except OSError as error:
        raise StorageError(f"{shown} cannot be read: {error.strerror}", url=shown) from error
    except ValueError as error:
        raise InvalidNameError(f"{shown!r:.200} is not a path: {error}") from error


def local_path(url: str) -> str | None:
    """Return the path that a path or ``file:`` URL means, None for any other URL."""
    match = _URL.match(url)
    if match is None:
        return os.path.expanduser(url)
    if match[1].lower() != "file":
        return None
    from urllib.request import url2pathname

    return url2pathname(url[match.end() :].removeprefix("localhost"))
