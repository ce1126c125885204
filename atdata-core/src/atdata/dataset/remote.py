"""Opening URLs: on the web, by a plugin, or through fsspec with its many errors as ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from atdata import plugins
from atdata.errors import (
    PluginNotFoundError,
    ShardNotFoundError,
    StorageError,
    UntrustedInputError,
)

_WEB = ("http", "https")


def open_remote(url: str, shown: str, *, public_only: bool = False) -> IO[bytes]:
    """Open a URL to be read once from start to end; errors call it ``shown``.

    With ``public_only``, which is for web URLs that came from others, only servers that everyone
    can reach are asked, over https.

    Raises:
        ShardNotFoundError: there is nothing there.
        StorageError: it cannot be read; reading the result may raise it too.
        UntrustedInputError: a server may not be asked, or ``public_only`` is not on the web.
        PluginNotFoundError: no installed package opens such URLs.
    """
    if _scheme(url) in _WEB:
        return cast("IO[bytes]", _web().WebStream(url, shown, public_only=public_only))
    if public_only:
        raise UntrustedInputError(f"{shown} is not opened: it is not on the web", url=shown)
    if (kind := source_kind(_scheme(url))) is not None:
        return cast("IO[bytes]", kind.from_urls([url]).open_shard(url))
    system, path = find_system(url, shown)
    # One request for the whole of it: servers need not know ranges, nor be asked for the size.
    with _translated(url, shown):
        return cast("IO[bytes]", _RemoteStream(system.open(path, "rb"), url, shown))


def source_kind(scheme: str) -> Any:
    """Return the class of sources that a plugin has for a URL scheme, None if there is none."""
    try:
        return plugins.load("data source", scheme)
    except PluginNotFoundError:
        return None


def list_remote(pattern: str, shown: str) -> list[str]:
    """List the URLs that a glob pattern matches, sorted, where the protocol can list."""
    if _scheme(pattern) in _WEB:
        return cast("list[str]", _web().list_web(pattern, shown))
    system, path = find_system(pattern, shown)
    with _translated(pattern, shown):
        return sorted(system.unstrip_protocol(file) for file in system.glob(path))


def find_system(url: str, shown: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it."""
    # 79 ms, and needed for remote shards alone.
    import fsspec

    scheme = _scheme(url)
    try:
        if scheme not in fsspec.available_protocols():
            raise ImportError(f"fsspec knows no protocol {scheme!r}")
        with _translated(url, shown):
            return cast("tuple[Any, str]", fsspec.core.url_to_fs(url))
    except ImportError as error:
        raise PluginNotFoundError(
            f"nothing installed opens {scheme}: URLs ({error}); "
            "install an atdata plugin or the fsspec package for it",
            scheme=scheme,
        ) from error


def _web() -> Any:
    try:
        # 60 ms, and needed for web URLs alone.
        from atdata.dataset import web
    except ImportError as error:
        raise PluginNotFoundError(
            f"nothing installed opens https: URLs ({error}); install atdata-core[http]",
            scheme="https",
        ) from error
    return web


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


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
            f"{shown} cannot be read: {type(error).__name__}; try again, or ask who keeps it",
            url=shown,
        ) from cause
