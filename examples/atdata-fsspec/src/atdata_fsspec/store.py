"""``FsspecStore``: shards below a folder of any fsspec filesystem."""

# ruff: noqa: D102 -- DataStore documents what every store does.

from __future__ import annotations

import builtins
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

from atdata.dataset import Dataset
from atdata.errors import ConflictError, InvalidNameError, ShardNotFoundError
from atdata.stores import DataStore, Leftover
from atdata_fsspec.files import find, open_file, to_url, translated
from atdata_fsspec.source import FsspecSource

_PARTS = ".parts"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\{}]|::")
_CHUNK = 1 << 20

# One thread at a time looks whether a name is free and takes it; a forked child finds it unlocked.
_taking = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_taking.acquire, after_in_parent=_taking.release, after_in_child=_taking.release
    )


class FsspecStore(DataStore):
    """Keeps shards below ``root``, such as ``file:///data/shards`` or ``memory://shards``.

    The options are those of the filesystem, such as its credentials; they are pickled with the
    store, and not shown. A shard is written to ``.parts`` and then takes its name: on local files
    by a link, so that it appears whole and replaces nothing; elsewhere by a copy that the
    filesystem makes, after a look whether the name is free. Where the filesystem shows a copy
    before it is complete, neither can be promised, and of two processes that put one name at the
    same moment the last may win.
    """

    def __init__(self, root: str, **storage_options: Any) -> None:
        self._root = root.rstrip("/")
        self._url = to_url(self._root)
        self._options = storage_options

    def put(self, name: str, shard: IO[bytes]) -> str:
        url = f"{self._url}/{_checked(name)}"
        part = f"{self._url}/{_PARTS}/{uuid.uuid4().hex}-{name.rpartition('/')[2][-80:]}"
        with translated(url):
            system, path = find(url, self._options)
            _, part = find(part, self._options)
            for file in (path, part):
                system.makedirs(file.rpartition("/")[0], exist_ok=True)
            try:
                shard.seek(0)
                with system.open(part, "wb") as file:
                    shutil.copyfileobj(shard, file, _CHUNK)
                _publish(system, part, path)
            except FileExistsError as error:
                raise ConflictError(f"there is a shard at {url} already", url=url) from error
            finally:
                with suppress(FileNotFoundError):
                    system.rm_file(part)
        return url

    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        return open_file(self._own(url), self._options, offset)

    def list(self, prefix: str = "") -> Iterator[str]:
        names = (name for name in self._names() if name.startswith(prefix))
        own = (name for name in names if not name.startswith(f"{_PARTS}/"))
        return iter(sorted(f"{self._url}/{name}" for name in own))

    def delete(self, url: str) -> None:
        with translated(url):
            system, path = find(self._own(url), self._options)
            if not system.isfile(path):
                raise ShardNotFoundError(f"there is no shard at {url}", shard=url)
            system.rm_file(path)

    def owns(self, url: str) -> bool:
        try:
            self._own(url)
        except ShardNotFoundError:
            return False
        return True

    def create_source(self, urls: Sequence[str]) -> Any:
        # Whoever else's URLs they are, the options are not for them.
        own = all(url.startswith(f"{self._url}/") for url in urls)
        return FsspecSource(urls, **self._options) if own else Dataset(urls).source

    def leftovers(self, prefix: str, token: str) -> Iterator[Leftover]:
        yield from super().leftovers(prefix, token)
        for name in self._names():
            if name.startswith(f"{_PARTS}/") and f"-data--{token}--" in name:
                yield Leftover("upload", f"{self._url}/{name}")

    def remove(self, leftover: Leftover) -> None:
        if leftover.kind != "upload":
            super().remove(leftover)
        elif leftover.url.startswith(f"{self._url}/{_PARTS}/"):
            with translated(leftover.url), suppress(FileNotFoundError):
                system, path = find(leftover.url, self._options)
                system.rm_file(path)

    def _names(self) -> builtins.list[str]:
        with translated(self._url):
            system, base = find(self._url, self._options)
            system.invalidate_cache()
            try:
                return [path.removeprefix(f"{base}/") for path in system.find(base)]
            except FileNotFoundError:
                return []

    def _own(self, url: str) -> str:
        name = url.removeprefix(f"{self._url}/")
        try:
            _checked(name if name != url else "")
        except InvalidNameError as error:
            raise ShardNotFoundError(f"{url!r:.300} is not in {self}", shard=url) from error
        return url

    def __repr__(self) -> str:
        return f"FsspecStore({self._root!r})"


def _publish(system: Any, part: str, path: str) -> None:
    """Give a complete file its name; FileExistsError if that is taken."""
    if hasattr(system, "link"):
        system.link(part, path)
        return
    with _taking:
        if system.exists(path):
            raise FileExistsError(path)
        system.cp_file(part, path)


def _checked(name: str) -> str:
    """Return a name that is stored exactly as it is, on every filesystem."""
    parts = name.split("/")
    try:
        fits = all(len(part.encode()) <= 255 for part in parts) and len(name.encode()) <= 900
    except UnicodeEncodeError:
        fits = False
    odd = {"", ".", "..", "~"}
    if not fits or _FORBIDDEN.search(name) or odd & set(parts) or parts[0] == _PARTS:
        raise InvalidNameError(f"{name!r:.300} cannot name a shard; give a short path", name=name)
    return name
