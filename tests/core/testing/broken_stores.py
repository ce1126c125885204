"""A small data store that is sound, and what becomes of it with one fault at a time."""

from __future__ import annotations

import builtins
import fnmatch
import io
import itertools
import os
import posixpath
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from atdata.dataset import URLSource
from atdata.errors import ConflictError, InvalidNameError, ShardNotFoundError
from atdata.stores import DataStore


class Sound(DataStore):
    """Files below a folder, copied into ``.parts`` and linked to their names."""

    def __init__(self, root: str, password: str = "") -> None:
        self.root = Path(root)
        self.parts = self.root / ".parts"
        self.password = password

    def path(self, name: str) -> Path:
        if not re.fullmatch(r"[\w-][ \w.-]{0,99}(/[\w-][\w.-]{0,99})*", name):
            raise InvalidNameError(f"{name!r:.99} cannot name a shard", name=name)
        return self.root / name

    def put(self, name: str, shard: IO[bytes]) -> str:
        path = self.path(name)
        with self.part() as part:
            self.copy(shard, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(part.name, path)
            except FileExistsError as error:
                raise ConflictError(f"there is a shard at {path}", url=str(path)) from error
        return str(path)

    def part(self) -> Any:
        self.parts.mkdir(parents=True, exist_ok=True)
        return tempfile.NamedTemporaryFile(dir=self.parts, suffix=".tar")

    def copy(self, shard: IO[bytes], file: IO[bytes]) -> None:
        shard.seek(0)
        shutil.copyfileobj(shard, file)
        file.flush()

    def own_path(self, url: str) -> Path:
        name = url.removeprefix(f"{self.root}/")
        path = self.root / name
        if name == url or not re.fullmatch(r"[ \w./-]+", name) or not path.is_file():
            raise ShardNotFoundError(f"there is no shard at {url!r:.99}", shard=url)
        return path

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        stream = self.own_path(url).open("rb")
        stream.seek(offset)
        return stream

    def names(self) -> builtins.list[str]:
        files = (path for path in self.root.rglob("*.tar") if path.parent != self.parts)
        return [path.relative_to(self.root).as_posix() for path in files]

    def list(self, prefix: str = "") -> Iterator[str]:
        names = (name for name in self.names() if name.startswith(prefix))
        return iter(sorted(f"{self.root}/{name}" for name in names))

    def delete(self, url: str) -> None:
        self.own_path(url).unlink()

    def create_source(self, urls: Sequence[str]) -> URLSource:
        return URLSource(urls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"


class Overwriting(Sound):
    """Puts what came last."""

    def put(self, name: str, shard: IO[bytes]) -> str:
        self.path(name).unlink(missing_ok=True)
        return super().put(name, shard)


class Racing(Sound):
    """Looks whether a name is free, and takes it later."""

    def put(self, name: str, shard: IO[bytes]) -> str:
        path = self.path(name)
        if path.exists():
            raise ConflictError(f"there is a shard at {path}", url=str(path))
        time.sleep(0.02)
        with self.part() as part:
            self.copy(shard, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(part.name, twin := f"{part.name}.{threading.get_ident()}")
            Path(twin).replace(path)
        return str(path)


class NotAtomic(Sound):
    """Writes where the shard will be listed."""

    def put(self, name: str, shard: IO[bytes]) -> str:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("xb") as file:
                self.copy(shard, file)
        except FileExistsError as error:
            raise ConflictError(f"there is a shard at {path}", url=str(path)) from error
        return str(path)


class FromHere(Sound):
    """Puts a file from where it happens to stand."""

    def copy(self, shard: IO[bytes], file: IO[bytes]) -> None:
        shutil.copyfileobj(shard, file)
        file.flush()


class Gluttonous(Sound):
    """Holds a whole shard in memory."""

    def copy(self, shard: IO[bytes], file: IO[bytes]) -> None:
        shard.seek(0)
        file.write(shard.read())
        file.flush()


class Unsorted(Sound):
    def list(self, prefix: str = "") -> Iterator[str]:
        return reversed([*super().list(prefix)])


class ListingParts(Sound):
    def names(self) -> builtins.list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.root.rglob("*.tar")]

    def spool(self) -> IO[bytes]:
        return self.part()  # type: ignore[no-any-return]


class OnePage(Sound):
    def list(self, prefix: str = "") -> Iterator[str]:
        return itertools.islice(super().list(prefix), 10)


class Globbing(Sound):
    """Takes a prefix for a pattern."""

    def list(self, prefix: str = "") -> Iterator[str]:
        names = (name for name in self.names() if fnmatch.fnmatch(name, f"{prefix}*"))
        return iter(sorted(f"{self.root}/{name}" for name in names))


class FolderListing(Sound):
    """Takes a prefix for a folder."""

    def list(self, prefix: str = "") -> Iterator[str]:
        return super().list(f"{prefix.rstrip('/')}/" if prefix else "")


class IgnoringOffsets(Sound):
    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        return super().open(url)


class EndingEarly(Sound):
    """Takes a short read for the end of the shard."""

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        with super().open(url, offset) as stream:
            return io.BytesIO(stream.read(1 << 15))


class OneStream(Sound):
    """Opens a shard once, and gives that stream to all who ask."""

    def __init__(self, root: str, password: str = "") -> None:
        super().__init__(root, password)
        self.opened: dict[str, Any] = {}

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        path = self.own_path(url)
        if url not in self.opened or self.opened[url].closed:
            self.opened[url] = path.open("rb")
        self.opened[url].seek(offset)
        return self.opened[url]  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "opened": {}}


class ForeignErrors(Sound):
    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        try:
            return super().open(url, offset)
        except ShardNotFoundError as error:
            raise FileNotFoundError(url) from error


class DeletingSilently(Sound):
    def delete(self, url: str) -> None:
        with suppress(ShardNotFoundError):
            super().delete(url)


class Keeping(Sound):
    """Deletes nothing."""

    def delete(self, url: str) -> None:
        self.own_path(url)


class Escaping(Sound):
    """Joins a name to its folder, whatever it says; confined to its parents, for safety."""

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/") if ".." in name else super().path(name)


class Normalising(Sound):
    def path(self, name: str) -> Path:
        return super().path(posixpath.normpath(name).lstrip("/"))


class Unpicklable(Sound):
    def __init__(self, root: str, password: str = "") -> None:
        super().__init__(root, password)
        self.lock = threading.Lock()


class Talkative(Sound):
    def __repr__(self) -> str:
        return f"Talkative({str(self.root)!r}, password={self.password!r})"
