"""How far a mirror of the network has come, kept so that one that was cut short goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from atdata.home import home, make_home

FILE = "mirror.json"


def read_position(relay: str) -> str | None:
    """Return the position behind which to go on, None to begin."""
    position = _read(home() / FILE).get(relay)
    return position if isinstance(position, str) else None


def write_position(relay: str, position: str | None) -> None:
    """Keep a position, or forget it where there is none."""
    path = make_home() / FILE
    positions = {**_read(path), relay: position}
    unfinished = path.with_suffix(f".{os.getpid()}")
    kept = {one: place for one, place in positions.items() if place is not None}
    unfinished.write_text(json.dumps(kept), encoding="utf-8")
    unfinished.replace(path)


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
