"""``LocalDiskStore``: shards as files below a folder."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from atdata.dataset.url import URLSource, local_path, open_url
from atdata.errors import AtdataError, ConflictError, InvalidNameError, ShardNotFoundError, StorageError
from atdata.home import home, make_home
from atdata.stores.store import DataStore

_SPOOL = ".spool"
# Braces would be expanded when the path is read back as a pattern.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\{}]")


class LocalDiskStore(DataStore):
    """Keeps shards as files below ``root`` (``~/.atdata/data`` by default); URLs are absolute paths.

    The folder is made when the first shard is written. A shard is spooled in ``.spool`` beside the
    data, synced, and linked to its name, so that it appears whole; what a killed writer leaves in
    ``.spool`` is never listed.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self._is_default = root is None
        folder = home() / "data" if root is None else Path(os.fspath(root)).expanduser()
        self.root = Path(os.path.realpath(folder))
        if _FORBIDDEN.search(str(self.root)):
            raise InvalidNameError(f"the path of a store has no braces or control characters: {self.root}")

    def put(self, name: str, shard: IO[bytes]) -> str:
        path = self._path(name)
        with _translated(path):
            shard.flush()
            os.fsync(shard.fileno())
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(shard.name, path)
            except FileExistsError as error:
                raise ConflictError(f"there is a shard at {path} already", url=str(path)) from error
            _sync_folder(path.parent)
        return str(path)

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        stream = open_url(str(self._own_path(url)))
        stream.seek(offset)
        return stream

    def list(self, prefix: str = "") -> Iterator[str]:
        found = (path for path in self.root.rglob("*.tar") if path.is_file())
        names = ((path.relative_to(self.root).as_posix(), path) for path in found)
        yield from sorted(
            str(path)
            for name, path in names
            if name.startswith(prefix) and not name.startswith(f"{_SPOOL}/")
        )

    def delete(self, url: str) -> None:
        path = self._own_path(url)
        with _translated(path):
            try:
                path.unlink()
            except FileNotFoundError as error:
                raise ShardNotFoundError(f"there is no shard at {path}", shard=url) from error

    def create_source(self, urls: Sequence[str]) -> URLSource:
        return URLSource(urls)

    def spool(self) -> IO[bytes]:
        folder = self.root / _SPOOL
        with _translated(folder):
            if self._is_default:
                make_home()
            folder.mkdir(parents=True, exist_ok=True)
            return _SpoolFile(folder / f"{uuid.uuid4().hex}.tmp")  # type: ignore[return-value]

    def _path(self, name: str) -> Path:
        """Return the path of a name, which must not lead out of the root by any way."""
        parts = name.split("/")
        if _FORBIDDEN.search(name) or any(part in {"", ".", "..", "~", _SPOOL} for part in parts):
            raise InvalidNameError(f"{name!r:.300} cannot name a shard; give a relative path", name=name)
        return self._confined(self.root.joinpath(*parts), name)

    def _own_path(self, url: str) -> Path:
        path = local_path(url)
        if path is None:
            raise ShardNotFoundError(f"{url!r:.300} is not a file of this store", shard=url)
        return self._confined(Path(path), url)

    def _confined(self, path: Path, name: str) -> Path:
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.root) or real == self.root:
            raise InvalidNameError(f"{name!r:.300} leads out of the store at {self.root}", name=name)
        return real

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalDiskStore) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"LocalDiskStore({str(self.root)!r})"


class _SpoolFile:
    """A file that is gone once closed; what was linked to it stays."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = path.open("xb", buffering=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _SpoolFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        Path(self.name).unlink()


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except AtdataError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", path=str(path)) from error
