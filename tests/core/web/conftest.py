"""A file of random bytes on a web server that does what a test wants."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from tests.services.file_server import FileServer, file_server

DATA = random.Random(7).randbytes(1_000_000)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers asked directly, whatever the environment says."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Give a server with a megabyte that nobody can guess."""
    with file_server(DATA) as server:
        yield server
