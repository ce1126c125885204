"""A session kept in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atdata.errors import StorageError
from atdata.locks import lock

LONGEST = 65_536
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def read_session(path: Path) -> str | None:
    """Return the session in a file, or None where there is no file.

    A file that others could read is made private first; one that belongs to somebody else, or is
    a link or no file at all, is refused with `StorageError`.
    """
    try:
        file = open(path, encoding="ascii", opener=_open)  # noqa: SIM115 -- closed below
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error
    with file:
        _make_private(file.fileno(), path)
        try:
            return file.read(LONGEST).strip()
        except (OSError, ValueError) as error:
            raise _failed(path, error) from error


def _open(path: str, _: int) -> int:
    return os.open(path, os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))


def _make_private(descriptor: int, path: Path) -> None:
    # Windows keeps no modes; what is in a user's profile is private there.
    if not hasattr(os, "geteuid"):
        return
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        message = f"the session file {path} belongs to somebody else; remove it and log in again"
        raise StorageError(message, path=path)
    if status.st_mode & 0o077:
        os.fchmod(descriptor, 0o600)


def write_session(path: Path, session: str) -> None:
    """Put a session in a file, whole or not at all, with mode 0600."""
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(session + "\n")
                file.flush()
                os.fsync(descriptor)
            os.replace(unfinished, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)
            raise
    except OSError as error:
        raise _failed(path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from renewing the session in a file."""
    try:
        file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
    except OSError as error:
        raise _failed(path, error) from error
    try:
        lock(file)
        yield
    finally:
        os.close(file)


def _failed(path: Path, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    message = f"the session file {path} cannot be used: {reason}; give another path or log in again"
    return StorageError(message, path=path)
