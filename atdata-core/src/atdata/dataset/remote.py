"""Opening URLs by a plugin, or through fsspec with its many errors as ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from atdata import plugins
from atdata.errors import PluginNotFoundError, ShardNotFoundError, StorageError

CONNECT_SECONDS = 30
STALL_SECONDS = 120

_WEB = ("http", "https")


def open_remote(url: str, shown: str) -> IO[bytes]:
    """Open a URL to be read once from start to end; errors call it by what may be shown of it.

    Raises:
        ShardNotFoundError: there is nothing there.
        StorageError: it cannot be read; reading the result may raise it too.
        PluginNotFoundError: no installed package opens such URLs.
    """
    is_web = _scheme(url) in _WEB
    if not is_web and (kind := source_kind(_scheme(url))) is not None:
        return cast("IO[bytes]", kind.from_urls([url]).open_shard(url))
    system, path = find_system(url, shown, patient=is_web)
    # One request for the whole of it: servers need not know ranges, nor be asked for the size.
    options = {"block_size": 0, "size": 1} if is_web else {}
    with _translated(url, shown):
        return cast("IO[bytes]", _RemoteStream(system.open(path, "rb", **options), url, shown))


def source_kind(scheme: str) -> Any:
    """Return the class of sources that a plugin has for a URL scheme, None if there is none."""
    try:
        return plugins.load("data source", scheme)
    except PluginNotFoundError:
        return None


def list_remote(pattern: str, shown: str) -> list[str]:
    """List the URLs that match a glob pattern, sorted, where the protocol can list."""
    system, path = find_system(pattern, shown)
    with _translated(pattern, shown):
        return sorted(system.unstrip_protocol(file) for file in system.glob(path))


def find_system(url: str, shown: str, *, patient: bool = False) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it."""
    # 79 ms, and needed for remote shards alone.
    import fsspec

    scheme = _scheme(url)
    try:
        if scheme not in fsspec.available_protocols():
            raise ImportError(f"fsspec knows no protocol {scheme!r}")
        options = {"client_kwargs": {"timeout": _timeout()}} if patient else {}
        with _translated(url, shown):
            return cast("tuple[Any, str]", fsspec.core.url_to_fs(url, **options))
    except ImportError as error:
        missing = "an atdata plugin or the fsspec package for it"
        raise PluginNotFoundError(
            f"nothing installed opens {scheme}: URLs ({error}); "
            f"install {'atdata-core[http]' if scheme in _WEB else missing}",
            scheme=scheme,
        ) from error


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _timeout() -> Any:
    # fsspec's default ends a download after five minutes, however well it goes.
    import aiohttp

    return aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)


class _RemoteStream(io.RawIOBase):
    """A stream of fsspec's that fails with our errors only."""

    def __init__(self, stream: IO[bytes], url: str, shown: str) -> None:
        self._stream = stream
        self._url = url
        self._shown = shown

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _translated(self._url, self._shown):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def _translated(url: str, shown: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 -- each protocol has exceptions of its own
        # Theirs spell the URL out, so where that is secret they are not even chained.
        cause = error if url == shown else None
        if isinstance(error, FileNotFoundError):
            raise ShardNotFoundError(f"there is no shard at {shown}", shard=shown) from cause
        raise StorageError(
            f"{shown} cannot be read: {_reason(error)}; try again, or ask who keeps it", url=shown
        ) from cause


def _reason(error: Exception) -> str:
    status = getattr(error, "status", None)
    return f"HTTP status {status}" if isinstance(status, int) else type(error).__name__
