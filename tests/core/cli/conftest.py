"""The real command in a process of its own, and an index for it to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fresh import run_main

import atdata
from atdata.cli import main
from atdata.index import Index
from atdata.stores import LocalDiskStore

Run = Callable[..., "subprocess.CompletedProcess[str]"]

COMMAND = [sys.executable, "-P", "-m", "atdata.cli"]


@atdata.packable
class Note:
    """Some text and some numbers."""

    text: str
    values: NDArray[np.float32]
    raw: bytes
    weight: float = 0.0


@pytest.fixture
def run() -> Run:
    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        words = ["atdata", *map(str, arguments)]
        return run_main(main, words, {**os.environ, **environment})

    return run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Make an index with one dataset: two shards for training, and one for testing."""
    path = tmp_path / "work" / "index.db"
    with Index(path=path, data_store=LocalDiskStore(tmp_path / "work" / "data")) as index:
        notes = [Note(f"note {n}", np.zeros((2, n + 1), np.float32), b"abc") for n in range(6)]
        index.write(
            {"train": notes[:4], "test": notes[4:]},
            name="notes",
            maxcount=2,
            metadata={"author": "nobody"},
        )
    return path


@pytest.fixture
def shards(database: Path) -> list[Path]:
    with Index(path=database) as index:
        return [Path(url) for url in index.get_dataset("notes").data_urls]
