"""Files on fsspec filesystems: where a URL leads, errors as atdata's, and streams."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast

import fsspec

from atdata.errors import AtdataError, InvalidNameError, ShardNotFoundError, StorageError

SCHEME = "fsspec://"
_BUFFER = 1 << 20


def to_url(place: str) -> str:
    """Turn ``memory://shards`` into ``fsspec://memory/shards``."""
    protocol, mark, path = place.partition("://")
    if not (protocol and mark and path) or "::" in place or "@" in path.partition("/")[0]:
        raise InvalidNameError(
            "the place of shards is like memory://shards or file:///data; "
            "users and passwords are given as options"
        )
    return f"{SCHEME}{protocol}/{path}"


def find(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the filesystem that one of our URLs means, and the path in it."""
    protocol, _, path = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not path or "::" in url or "\0" in url:
        raise ShardNotFoundError(f"{url!r:.300} is no {SCHEME} URL of a shard", shard=url)
    # Instances are fsspec's to keep: it makes new ones in a forked process.
    return cast("tuple[Any, str]", fsspec.core.url_to_fs(f"{protocol}://{path}", **options))


def open_file(url: str, options: Mapping[str, Any], offset: int = 0) -> IO[bytes]:
    """Open a shard from an offset; ``ShardNotFoundError`` if there is none."""
    with translated(url):
        system, path = find(url, options)
        info = system.info(path)
    if info["type"] != "file":
        raise ShardNotFoundError(f"{url} is not a file", shard=url)
    ranges = _Ranges(system, path, url, info["size"])
    ranges.seek(offset)
    return io.BufferedReader(ranges, _BUFFER)


class _Ranges(io.RawIOBase):
    """A file read range by range: nothing is open between reads, and nothing is shared."""

    def __init__(self, system: Any, path: str, url: str, size: int) -> None:
        self._system = system
        self._path = path
        self._url = url
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        with translated(self._url):
            data = self._system.cat_file(self._path, start=self._position, end=end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise every failure of a filesystem as an error of atdata's."""
    try:
        yield
    except AtdataError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ShardNotFoundError(f"there is no shard at {url}", shard=url) from error
    except Exception as error:
        # Each filesystem has exceptions of its own.
        reason = type(error).__name__
        raise StorageError(f"{url} cannot be read or written: {reason}", url=url) from error
