"""``LocalDiskStore``: shards as files below a folder."""

# ruff: noqa: D102 -- DataStore documents what every store does.

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from atdata.dataset.source import as_source
from atdata.dataset.url import local_path
from atdata.errors import ConflictError, InvalidNameError, ShardNotFoundError, StorageError
from atdata.home import home, make_home
from atdata.stores import spool
from atdata.stores.file_names import SPOOL, is_file_name, split_name
from atdata.stores.folders import Folder, LinkError, opened
from atdata.stores.root import DiskSource, names_below, open_below, translated
from atdata.stores.store import DataStore, Leftover

_MARK = "mark"
_MARK_TEXT = re.compile("[0-9a-f]{32}", re.ASCII)
_SHARD = ".tar"
# Braces would be expanded when a path is read back as a pattern.
_NOT_IN_ROOTS = re.compile(r"[\x00-\x1f\x7f{}]")
# Nothing deeper has a path.
_LONGEST_PATH = 4096


class LocalDiskStore(DataStore):
    """Keeps shards as files below ``root``, by default ``~/.atdata/data``; URLs are absolute paths.

    The folder is made when the first shard is written, for its owner alone; one that is there keeps
    its permissions, which all that is written takes on. Links below it are never followed.

    A shard is spooled in ``.spool`` beside the data, synced, and linked to its name, so that it
    appears whole; what a killed writer leaves in ``.spool`` is never listed. A writer holds a lock
    on its file there, which ends with its process on whatever machine, so that ``abandoned`` finds
    all that nobody is writing any more.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self._is_default = root is None
        folder = home() / "data" if root is None else Path(os.fspath(root)).expanduser()
        self.root = Path(os.path.realpath(folder))
        if _NOT_IN_ROOTS.search(str(self.root)):
            raise InvalidNameError(
                f"the path of a store has no braces or control characters: {str(self.root)!r}"
            )

    def put(self, name: str, shard: IO[bytes]) -> str:
        parts = split_name(name)
        if parts is None:
            raise InvalidNameError(
                f"{name!r:.300} cannot name a shard; give a short relative path", name=name
            )
        file, path = cast("spool.SpoolFile", shard), self.root.joinpath(*parts)
        with translated(path, "written"):
            file.sync()
            with opened(self.root, parts[:-1], make=True) as folder:
                try:
                    file.publish(folder, path.name)
                except FileExistsError as error:
                    raise _taken(folder, path) from error
        return path.as_posix()

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        stream = open_below(self.root, self._own_names(url))
        stream.seek(offset)
        return stream

    def list(self, prefix: str = "") -> Iterator[str]:
        *folders, _ = prefix.split("/")
        if not all(map(is_file_name, folders)):
            return
        root = self.root.as_posix().rstrip("/")
        found = ("/".join(names) for names in self._walk(folders))
        yield from sorted(f"{root}/{name}" for name in found if name.startswith(prefix))

    def _walk(self, start: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Yield the names that lead to each shard below a folder, in no order."""
        waiting = [tuple(start)]
        while waiting:
            names = waiting.pop()
            folders, files = self._scan(names)
            # Names that are no shard's are not this store's, and neither is what lies below them.
            yield from ((*names, file) for file in files if _is_shard(file))
            waiting += [(*names, folder) for folder in folders if is_file_name(folder)]

    def _scan(self, names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        path = self.root.joinpath(*names)
        if len(os.fsencode(path)) > _LONGEST_PATH:
            return (), ()
        try:
            with opened(self.root, names) as folder:
                return folder.scan()
        except (FileNotFoundError, NotADirectoryError, PermissionError, LinkError):
            # Hidden from this user, or removed or replaced while this looks.
            return (), ()
        except OSError as error:
            message = f"{path} cannot be listed: {error.strerror}"
            raise StorageError(message, path=str(path)) from error

    def delete(self, url: str) -> None:
        *folders, name = self._own_names(url)
        path = self.root.joinpath(*folders, name)
        with translated(path, "removed"), opened(self.root, folders) as folder:
            folder.look(name)
            folder.unlink(name)

    def owns(self, url: str) -> bool:
        path = Path(local_path(url) or "")
        # Links are looked at when the shard is opened.
        return path.is_relative_to(self.root) and path != self.root and ".." not in path.parts

    def create_source(self, urls: Sequence[str]) -> Any:
        is_remote = all(local_path(url) is None for url in urls)
        return as_source(urls) if is_remote else DiskSource(urls, self.root)

    def spool(self) -> IO[bytes]:
        with self._spool_folder() as folder:
            return cast("IO[bytes]", spool.open_spool(folder))

    def identify(self) -> str:
        # Another machine may have a folder of the same path; so the folder itself bears a mark.
        with self._spool_folder() as folder:
            try:
                mark = _read_mark(folder)
            except FileNotFoundError:
                _write_mark(folder)
                mark = _read_mark(folder)
        return f"{self.root}#{mark}"

    @contextmanager
    def _spool_folder(self) -> Iterator[Folder]:
        with translated(self.root / SPOOL, "written"):
            if self._is_default:
                make_home()
            with opened(self.root, [SPOOL], make=True) as folder:
                yield folder

    def abandoned(self) -> Iterator[Leftover]:
        path = self.root / SPOOL
        with suppress(ShardNotFoundError), translated(path, "read"):
            with opened(self.root, [SPOOL]) as folder:
                names = list(spool.abandoned(folder))
            yield from (Leftover("spool", str(path / name)) for name in names)

    def remove(self, leftover: Leftover) -> None:
        if leftover.kind != "spool":
            super().remove(leftover)
            return
        path = Path(leftover.url)
        if path.parent != self.root / SPOOL or path.suffix != spool.SUFFIX:
            raise InvalidNameError(f"{path} is no spool file of {self!r}", name=leftover.url)
        with (
            suppress(ShardNotFoundError),
            translated(path, "removed"),
            opened(self.root, [SPOOL]) as folder,
        ):
            spool.remove(folder, path.name)

    def _own_names(self, url: str) -> Sequence[str]:
        path = local_path(url)
        if path is None:
            raise ShardNotFoundError(f"{url!r:.300} is not a file of this store", shard=url)
        names = names_below(self.root, path)
        if names is None or not all(map(is_file_name, names)):
            raise InvalidNameError(f"{url!r:.300} leads out of the store at {self.root}", name=url)
        return names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalDiskStore) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"LocalDiskStore({str(self.root)!r})"


def _is_shard(name: str) -> bool:
    return name.endswith(_SHARD) and is_file_name(name)


def _taken(folder: Folder, path: Path) -> ConflictError:
    folder.look(path.name)
    url = path.as_posix()
    return ConflictError(f"there is a shard at {url} already", url=url)


def _read_mark(folder: Folder) -> str:
    # Others may write here, and the mark goes into indexes: no other file may pass for it.
    with open(folder.open_file(_MARK, os.O_RDONLY), "rb", 0) as file:
        text = file.read(64).decode("ascii", "replace")
    if not _MARK_TEXT.fullmatch(text):
        raise StorageError(f"{folder.path}/{_MARK} is not what atdata writes; remove it")
    return text


def _write_mark(folder: Folder) -> None:
    with spool.open_spool(folder) as file, suppress(FileExistsError):
        file.write(uuid.uuid4().hex.encode())
        file.sync()
        file.publish(folder, _MARK)
