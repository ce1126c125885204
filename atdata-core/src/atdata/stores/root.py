"""What lies below the root of a store on disk, opened without following a link there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from atdata.dataset.url import URLSource, local_path
from atdata.errors import AtdataError, InvalidNameError, ShardNotFoundError, StorageError
from atdata.stores.folders import LinkError, opened


class DiskSource(URLSource):
    """Shards of which those below the root of a store are opened without following a link there."""

    def __init__(self, urls: Sequence[str], root: Path) -> None:
        super().__init__(urls)
        self._root = root

    def _open(self, url: str) -> IO[bytes]:
        path = local_path(url)
        names = None if path is None else names_below(self._root, path)
        return super()._open(url) if names is None else open_below(self._root, names)

    def __reduce__(self) -> tuple[Any, ...]:
        return DiskSource, (self._urls, self._root)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DiskSource) and self._root != other._root:
            return False
        return super().__eq__(other)

    __hash__ = URLSource.__hash__


def names_below(root: Path, path: str) -> list[str] | None:
    """Return the names that lead from the root to what a path means, None if it is elsewhere."""
    # Not resolved: links below the root are to be noticed.
    absolute = Path(path).absolute()
    above = root if absolute.is_relative_to(root) else _same_folder(absolute, root)
    names = [] if above is None else list(absolute.relative_to(above).parts)
    return names if names and ".." not in names else None


def _same_folder(path: Path, root: Path) -> Path | None:
    """Return the folder above a path that is the root by another way, such as a link to it."""
    with suppress(OSError):
        wanted = os.stat(root)
        for folder in path.parents:
            with suppress(OSError, ValueError):
                if os.path.samestat(os.stat(folder), wanted):
                    return folder
    return None


def open_below(root: Path, names: Sequence[str]) -> IO[bytes]:
    """Open the file to which names lead from the root, for reading.

    Raises:
        ShardNotFoundError: there is nothing there.
        InvalidNameError: a link is in the way.
        StorageError: it cannot be read, or is not a file.
    """
    *folders, name = names
    path = root.joinpath(*names)
    with translated(path, "read"), opened(root, folders) as folder:
        number = folder.open_file(name, os.O_RDONLY)
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                url = path.as_posix()
                raise StorageError(f"{url} is not a file, and so not a shard", url=url)
            # Unlike a number alone, an opener leaves the path as the stream's name.
            return open(path, "rb", 0, opener=lambda *_: number)
        except BaseException:
            os.close(number)
            raise


@contextmanager
def translated(path: Path, verb: str) -> Iterator[None]:
    """Raise what the system says of a path in a store as ours."""
    try:
        yield
    except AtdataError:
        raise
    except ValueError as error:
        if verb == "written":
            raise
        raise InvalidNameError(f"{str(path)!r:.300} is not a path: {error}") from error
    except OSError as error:
        raise _as_ours(error, path, verb) from error


def _as_ours(error: OSError, path: Path, verb: str) -> AtdataError:
    url = path.as_posix()
    if isinstance(error, LinkError):
        return InvalidNameError(
            f"{url} leads out of the store: {error.filename} is a link, and a store follows none; "
            "put the files themselves in its place",
            name=url,
        )
    if isinstance(error, FileNotFoundError) and verb != "written":
        return ShardNotFoundError(f"there is no shard at {url}", shard=url)
    return StorageError(f"{url} cannot be {verb}: {error.strerror}", path=url)
