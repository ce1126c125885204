"""An index on each provider that needs no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atdata import Index, LocalDiskStore, set_default_index


@pytest.fixture(params=["memory", "sqlite"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    store = LocalDiskStore(tmp_path / "shards")
    if request.param == "memory":
        made = Index(provider="memory", data_store=store)
    else:
        made = Index(path=tmp_path / "index.db", data_store=store)
    with made:
        yield made


@pytest.fixture(autouse=True)
def _no_default_index() -> Iterator[None]:
    yield
    set_default_index(None)
