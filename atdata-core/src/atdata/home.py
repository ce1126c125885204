"""Where atdata keeps its own files: ``~/.atdata``, or wherever ``ATDATA_HOME`` says."""

from __future__ import annotations

import os
from pathlib import Path

from atdata.errors import StorageError


def home() -> Path:
    """Return the folder, which need not exist; the environment is read at each call."""
    return Path(os.environ.get("ATDATA_HOME") or "~/.atdata").expanduser()


def make_home() -> Path:
    """Return the folder, made or tightened so that only its owner can enter.

    ``StorageError`` if that cannot be.
    """
    folder = home()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        message = f"the folder {folder} cannot be made or kept private: {error.strerror}"
        raise StorageError(f"{message}; ATDATA_HOME names another", path=str(folder)) from error
    return folder
