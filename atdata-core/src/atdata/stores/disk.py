"""``LocalDiskStore``: shards as files below a folder."""

# ruff: noqa: D102 -- DataStore documents what every store does.

from __future__ import annotations

import os
import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from atdata.dataset.url import URLSource, local_path, open_url
from atdata.errors import (
    AtdataError,
    ConflictError,
    InvalidNameError,
    ShardNotFoundError,
    StorageError,
)
from atdata.home import home, make_home
from atdata.shards import write_all
from atdata.stores.store import DataStore, Leftover

_SPOOL = ".spool"
_MARK = "mark"
_LONGEST_NAME = 255
# What is written is synced in pieces of at least so many bytes.
_SYNCED_AT_ONCE = 8 << 20
# Braces would be expanded when the path is read back as a pattern.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\{}]")


class LocalDiskStore(DataStore):
    """Keeps shards as files below ``root``, by default ``~/.atdata/data``; URLs are absolute paths.

    The folder is made when the first shard is written. A shard is spooled in ``.spool`` beside the
    data, synced, and linked to its name, so that it appears whole; what a killed writer leaves in
    ``.spool`` is never listed. A writer holds a lock on its file there, which ends with its
    process on whatever machine, so that ``abandoned`` finds all that nobody is writing any more.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self._is_default = root is None
        folder = home() / "data" if root is None else Path(os.fspath(root)).expanduser()
        self.root = Path(os.path.realpath(folder))
        if _FORBIDDEN.search(str(self.root)):
            raise InvalidNameError(
                f"the path of a store has no braces or control characters: {str(self.root)!r}"
            )

    def put(self, name: str, shard: IO[bytes]) -> str:
        path = self._path(name)
        with _translated(path):
            shard.flush()
            os.fsync(shard.fileno())
            _make_folder(path.parent)
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
        *folders, _ = prefix.split("/")
        if _FORBIDDEN.search(prefix) or not all(map(_is_file_name, folders)):
            return
        start = self.root.joinpath(*folders)
        # A link in place of a folder could lead out of the root.
        if os.path.realpath(start) != str(start):
            return
        found = (path for path in start.rglob("*.tar") if path.is_file() and not path.is_symlink())
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
            _make_folder(folder)
            return _open_spool(folder)  # type: ignore[return-value]

    def identify(self) -> str:
        # Another machine may have a folder of the same path; so the folder itself bears a mark.
        mark = self.root / _SPOOL / _MARK
        with _translated(mark):
            if not mark.exists():
                with self.spool() as file, suppress(FileExistsError):
                    file.write(uuid.uuid4().hex.encode())
                    os.link(file.name, mark)
            return f"{self.root}#{mark.read_text()}"

    def abandoned(self) -> Iterator[Leftover]:
        for path in sorted((self.root / _SPOOL).glob("*.tmp")):
            if _is_abandoned(path):
                yield Leftover("spool", str(path))

    def remove(self, leftover: Leftover) -> None:
        if leftover.kind != "spool":
            super().remove(leftover)
            return
        path = Path(leftover.url)
        if path.parent != self.root / _SPOOL:
            raise InvalidNameError(f"{path} is no spool file of {self!r}", name=leftover.url)
        with _translated(path), suppress(FileNotFoundError), path.open("r+b") as file:
            # Removed under the lock: a file that was only just made is its writer's or is gone.
            if _lock(file):
                path.unlink()

    def _path(self, name: str) -> Path:
        """Return the path of a name, which must not lead out of the root by any way."""
        parts = name.split("/")
        if _FORBIDDEN.search(name) or not all(map(_is_file_name, parts)):
            raise InvalidNameError(
                f"{name!r:.300} cannot name a shard; give a short relative path", name=name
            )
        return self._confined(self.root.joinpath(*parts), name)

    def _own_path(self, url: str) -> Path:
        path = local_path(url)
        if path is None:
            raise ShardNotFoundError(f"{url!r:.300} is not a file of this store", shard=url)
        return self._confined(Path(path), url)

    def _confined(self, path: Path, name: str) -> Path:
        try:
            real = Path(os.path.realpath(path))
        except ValueError as error:
            raise InvalidNameError(f"{name!r:.300} is not a path: {error}", name=name) from error
        inside = real.parts[len(self.root.parts) :] if real.is_relative_to(self.root) else ()
        if not inside or inside[0] == _SPOOL:
            raise InvalidNameError(
                f"{name!r:.300} leads out of the store at {self.root}", name=name
            )
        return real

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalDiskStore) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"LocalDiskStore({str(self.root)!r})"


class _SpoolFile:
    """A file that is gone once closed; what was linked to it stays.

    While it is written, another thread has what is there already synced, so that little is left to
    wait for when all must be on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = path.open("xb", buffering=0)
        self._unsynced = 0
        self._syncing: threading.Thread | None = None
        self._error: OSError | None = None

    def is_ours(self) -> bool:
        """Lock the file, and tell whether that was before anybody took it for abandoned."""
        return _lock(self._file) and os.fstat(self._file.fileno()).st_nlink > 0

    def write(self, data: bytes) -> int:
        # A nearly full disk takes a part first, and fails at the next.
        write_all(self._file, data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNCED_AT_ONCE and not (self._syncing and self._syncing.is_alive()):
            self._begin_sync()
        return len(data)

    def flush(self) -> None:
        """Wait for what is being synced; ``OSError`` if it failed, which no later sync tells."""
        if self._syncing is not None:
            self._syncing.join()
        if self._error is not None:
            raise self._error

    def _begin_sync(self) -> None:
        syncing = threading.Thread(target=self._sync, name="atdata-sync", daemon=True)
        # A process that is ending begins no threads, and syncs everything at once.
        with suppress(RuntimeError):
            syncing.start()
            self._syncing, self._unsynced = syncing, 0

    def _sync(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._syncing is not None:
                self._syncing.join()
            self._file.close()
        finally:
            Path(self.name).unlink(missing_ok=True)


def _open_spool(folder: Path) -> _SpoolFile:
    while True:
        file = _SpoolFile(folder / f"{uuid.uuid4().hex}.tmp")
        if file.is_ours():
            return file
        with file:
            continue


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file for as long as it is open, or tell that another has."""
    # Windows has none, where the core should import nevertheless.
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_abandoned(path: Path) -> bool:
    with _translated(path), suppress(FileNotFoundError), path.open("r+b") as file:
        return _lock(file)
    return False


def _is_file_name(part: str) -> bool:
    try:
        fits = len(part.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False
    return fits and part not in {"", ".", "..", "~", _SPOOL}


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each lasting through a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
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
