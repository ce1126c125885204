"""Folders held open: what lies in them is reached by its name alone, and no link is followed.

Where others may write in a folder, a path that was checked may lead elsewhere when it is used. A
name in an open folder cannot. Systems whose calls take no open folders (Windows) get the same by
paths whose parts are looked at first, which is not safe from others who change them just then.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from atdata.home import make_private
from atdata.locks import lock

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
# Binary on Windows, and elsewhere not waiting for somebody to write into a pipe.
_ALWAYS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
# Who may enter a folder need not be allowed to list it.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | _DIRECTORY | _ALWAYS

_NEEDED = {os.open, os.mkdir, os.stat, os.unlink, os.rename}
HAS_HANDLES = bool(
    _NO_FOLLOW and _DIRECTORY and os.supports_dir_fd >= _NEEDED and os.scandir in os.supports_fd
)
# No open file has this number.
_CLOSED = -1
# Windows marks with this what stands for something elsewhere: a symbolic link or a junction.
_SURROGATE = 0x2000_0000


class LinkError(OSError):
    """A name is a link, and so is not followed."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ELOOP, "it is a link, which a store does not follow", name)


class Folder:
    """An open folder, a context that closes it.

    ``path`` says where it was found, and ``mode`` what permissions the folder has that was opened
    first: all folders that are made below have them, too.
    """

    def __init__(self, path: str, handle: int | None, mode: int) -> None:
        self.path = path
        self.mode = mode
        self._handle = handle

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a folder by its path, links in it included; ``FileNotFoundError`` if it is not."""
        handle = os.open(path, _ENTER) if HAS_HANDLES else None
        status = os.stat(path) if handle is None else os.fstat(handle)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return cls(os.fspath(path), handle, stat.S_IMODE(status.st_mode))

    def enter(self, name: str) -> Folder:
        """Open a folder in this one; ``LinkError`` if it is a link."""
        path = os.path.join(self.path, name)
        if self._handle is None:
            status = self.look(name)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return Folder(path, None, self.mode)
        try:
            handle = os.open(name, _ENTER | _NO_FOLLOW, dir_fd=self._handle)
        except OSError:
            self._refuse_link(name)
            raise
        return Folder(path, handle, self.mode)

    def make(self, name: str) -> Folder:
        """Open a folder in this one; if there is none, make one, to last."""
        with suppress(FileNotFoundError):
            return self.enter(name)
        where, options = self._at(name)
        with suppress(FileExistsError):
            os.mkdir(where, self.mode, **options)
            self.sync()
        made = self.enter(name)
        made.give_mode()
        return made

    def give_mode(self) -> None:
        """Give the folder what the umask took off, where its file system keeps permissions."""
        if self._handle is not None and stat.S_IMODE(os.fstat(self._handle).st_mode) != self.mode:
            with suppress(OSError), self.readable() as handle:
                os.chmod(handle, self.mode)

    def open_file(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file in the folder, for its number; ``LinkError`` if it is a link."""
        where, options = self._at(name)
        if self._handle is None:
            with suppress(FileNotFoundError):
                self.look(name)
        try:
            return os.open(where, flags | _NO_FOLLOW | _ALWAYS, mode, **options)
        except OSError:
            self._refuse_link(name)
            raise

    def make_file(self, name: str, mode: int) -> int:
        """Make a file with these permissions whatever the umask, open for writing."""
        file = self.open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if self._handle is not None and stat.S_IMODE(os.fstat(file).st_mode) != mode:
            with suppress(OSError):
                os.chmod(file, mode)
        return file

    def look(self, name: str) -> os.stat_result:
        """Return what is known of a name; ``LinkError`` if it is a link."""
        where, options = self._at(name)
        status = os.stat(where, follow_symlinks=False, **options)
        if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) & _SURROGATE:
            raise LinkError(os.path.join(self.path, name))
        return status

    def link(self, name: str, target: Folder, new: str) -> None:
        """Give a file another name in a folder; ``FileExistsError`` if that is taken."""
        if self._handle is None or target._handle is None:
            os.link(os.path.join(self.path, name), os.path.join(target.path, new))
            return
        options: Any = {"src_dir_fd": self._handle, "dst_dir_fd": target._handle}
        os.link(name, new, **options, follow_symlinks=False)

    def rename(self, name: str, target: Folder, new: str) -> None:
        """Move a file to a name in a folder, in place of what has it."""
        if self._handle is None or target._handle is None:
            os.rename(os.path.join(self.path, name), os.path.join(target.path, new))
            return
        os.rename(name, new, src_dir_fd=self._handle, dst_dir_fd=target._handle)

    def unlink(self, name: str) -> None:
        """Remove a name, whatever it stands for."""
        where, options = self._at(name)
        os.unlink(where, **options)

    def scan(self) -> tuple[list[str], list[str]]:
        """Return the names of all folders in it and of all files, links left out, in no order."""
        folders: list[str] = []
        files: list[str] = []
        with self.readable() as handle, os.scandir(handle) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
        return folders, files

    def sync(self) -> None:
        """Make new names survive a power cut, where a system can be asked to."""
        if self._handle is not None:
            with self.readable() as handle:
                os.fsync(handle)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out who lock the folder, where a system can."""
        with self.readable() as handle:
            if self._handle is not None:
                lock(handle)
            yield

    def copy(self) -> Folder:
        """Open the folder once more."""
        handle = None if self._handle is None else os.dup(self._handle)
        return Folder(self.path, handle, self.mode)

    def close(self) -> None:
        """Let go of the folder, of which nothing can be had from then on."""
        if self._handle is not None and self._handle != _CLOSED:
            handle, self._handle = self._handle, _CLOSED
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at(self, name: str) -> tuple[str, dict[str, Any]]:
        if self._handle is None:
            return os.path.join(self.path, name), {}
        return name, {"dir_fd": self._handle}

    @contextmanager
    def readable(self) -> Iterator[Any]:
        """Open the folder so that it can be listed, synced and locked; else give its path."""
        if self._handle is None:
            yield self.path
            return
        handle = os.open(".", os.O_RDONLY | _DIRECTORY | _ALWAYS, dir_fd=self._handle)
        try:
            yield handle
        finally:
            os.close(handle)

    def _refuse_link(self, name: str) -> None:
        # How a system answers that was not to follow a link differs.
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            self.look(name)


@contextmanager
def opened(root: Path, names: Sequence[str], *, make: bool = False) -> Iterator[Folder]:
    """Open the folder to which names lead from a root; with ``make`` all that is missing is made.

    What is made has the permissions of the root, and a root that is made is its owner's alone.
    """
    for made in make_private(root) if make else ():
        with Folder.open(made.parent) as parent:
            parent.sync()
    folder = Folder.open(root)
    try:
        for name in names:
            outer, folder = folder, folder.make(name) if make else folder.enter(name)
            outer.close()
        yield folder
    finally:
        folder.close()
