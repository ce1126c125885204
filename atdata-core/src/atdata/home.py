"""Where atdata keeps its own files: ``~/.atdata``, or wherever ``ATDATA_HOME`` says."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from atdata.errors import StorageError


def home() -> Path:
    """Return the folder, which need not exist; the environment is read at each call.

    ``StorageError`` if it is below the home of a user who has none.
    """
    named = os.environ.get("ATDATA_HOME") or "~/.atdata"
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        message = f"the home of {named} is not known; ATDATA_HOME names another folder"
        raise StorageError(message, path=named) from error


def make_home() -> Path:
    """Return the folder, made or tightened so that only its owner can enter.

    ``StorageError`` if that cannot be.
    """
    folder = home()
    try:
        make_private(folder)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        message = f"the folder {folder} cannot be made or kept private: {error.strerror}"
        raise StorageError(f"{message}; ATDATA_HOME names another", path=str(folder)) from error
    return folder


def make_private(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing, which only this user can enter.

    Returns those that were made, from the outermost on; one that is there stays as it is.
    """
    if folder.is_dir():
        return []
    made = make_private(folder.parent)
    # Another process may make the same one.
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        made.append(folder)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return made
