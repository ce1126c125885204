"""A file of random bytes on a web server that does what a test wants, and short waits."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from tests.services.file_server import FileServer, file_server

from atdata import retries

DATA = random.Random(7).randbytes(1_000_000)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers asked again soon where they do not say when, and not through proxies."""
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Give a server with a megabyte that nobody can guess."""
    with file_server(DATA) as server:
        yield server
