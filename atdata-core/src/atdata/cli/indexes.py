"""Which index a command reads."""

from __future__ import annotations

from pathlib import Path

from atdata.errors import NotFoundError
from atdata.home import home
from atdata.index import Index
from atdata.index.default import open_own


def open_index(path: Path | None) -> Index:
    """Open the index file that was chosen, or the user's own; a missing file is not made."""
    if path is not None:
        if not path.exists():
            sentence = f"there is no index at {path}; Index(path=...) makes one"
            raise NotFoundError(sentence, path=path)
        return Index(path=path)
    return open_own() if (home() / "index.db").exists() else Index()
