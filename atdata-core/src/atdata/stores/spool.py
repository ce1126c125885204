"""The folder ``.spool`` of a store on disk: files that are written before they have their names."""

from __future__ import annotations

import errno
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from atdata.locks import try_lock
from atdata.shards import write_all
from atdata.stores.folders import Folder

SUFFIX = ".tmp"
# What is written is synced in pieces of at least so many bytes.
_SYNCED_AT_ONCE = 8 << 20
# What file systems without hard links answer (exFAT, some of networks).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
# Windows neither moves nor removes a file that is open.
OPEN_FILES_STAY = os.name == "nt"
_IN_USE = (PermissionError,) if OPEN_FILES_STAY else ()


class SpoolFile:
    """A file that is gone once closed; what was made of it by ``publish`` stays.

    While it is written, another thread has what is there already synced, so that little is left to
    wait for when all must be on the disk.
    """

    def __init__(self, folder: Folder) -> None:
        self._base = f"{uuid.uuid4().hex}{SUFFIX}"
        self.name = os.path.join(folder.path, self._base)
        # Nobody changes a shard: whoever may list the folder may read it, and no more.
        number = folder.make_file(self._base, folder.mode & 0o444 | 0o600)
        self._file = open(number, "wb", 0)  # noqa: SIM115 -- closed with this
        self._folder = folder.copy()
        self._unsynced = 0
        self._syncing: threading.Thread | None = None
        self._error: OSError | None = None

    def is_ours(self) -> bool:
        """Lock the file, and return whether that was before anybody took it for abandoned."""
        number = self._file.fileno()
        return try_lock(number) is not False and os.fstat(number).st_nlink > 0

    def write(self, data: bytes) -> int:
        """Write all of it, unbuffered; ``OSError`` if there is no room."""
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

    def sync(self) -> None:
        """Have all that was written on the disk."""
        self.flush()
        os.fsync(self._file.fileno())

    def publish(self, target: Folder, name: str) -> None:
        """Give what was written and synced a name in another folder, whole or not at all.

        ``FileExistsError`` if the name is taken.
        """
        written = os.fstat(self._file.fileno())
        if not self._link(target, name):
            self._move(target, name)
        if not os.path.samestat(written, target.look(name)):
            target.unlink(name)
            raise OSError(errno.ESTALE, "another file was put in place of what was written")
        target.sync()

    def _link(self, target: Folder, name: str) -> bool:
        """Link the file to a name; False where files have one name only."""
        if not hasattr(os, "link"):
            return False
        try:
            self._folder.link(self._base, target, name)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        return True

    def _move(self, target: Folder, name: str) -> None:
        if OPEN_FILES_STAY:
            # A move never takes the place of another file there.
            self._file.close()
            self._folder.rename(self._base, target, name)
            return
        # It does here, so one writer at a time looks whether there is one, and moves its own.
        with self._folder.locked():
            with suppress(FileNotFoundError):
                target.look(name)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            self._folder.rename(self._base, target, name)

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

    def close(self) -> None:
        """Close and remove the file."""
        with self._folder as folder:
            try:
                if self._syncing is not None:
                    self._syncing.join()
                self._file.close()
            finally:
                with suppress(FileNotFoundError, *_IN_USE):
                    folder.unlink(self._base)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_spool(folder: Folder) -> SpoolFile:
    """Open a new file in the folder, which stays open with it."""
    while True:
        file = SpoolFile(folder)
        if file.is_ours():
            return file
        with file:
            continue


def abandoned(folder: Folder) -> Iterator[str]:
    """Yield the names of the files that nobody is writing any more, sorted."""
    _, names = folder.scan()
    for name in sorted(names):
        if name.endswith(SUFFIX) and _is_abandoned(folder, name):
            yield name


def remove(folder: Folder, name: str) -> None:
    """Remove a file unless somebody is writing it; one that is gone already is no error."""
    with suppress(FileNotFoundError):
        with _opened(folder, name) as file:
            if not try_lock(file):
                return
            if not OPEN_FILES_STAY:
                # Under the lock: a file that was only just made is its writer's or is gone.
                folder.unlink(name)
                return
        # Nor can it be removed here while its writer has it open.
        with suppress(*_IN_USE):
            folder.unlink(name)


def _is_abandoned(folder: Folder, name: str) -> bool:
    # Of a file that may not be opened, or is on a disk without locks, nobody can tell.
    with suppress(OSError), _opened(folder, name) as file:
        return bool(try_lock(file))
    return False


@contextmanager
def _opened(folder: Folder, name: str) -> Iterator[int]:
    try:
        # Some file systems of networks lock only what may be written.
        file = folder.open_file(name, os.O_RDWR)
    except PermissionError:
        file = folder.open_file(name, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)
