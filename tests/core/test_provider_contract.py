"""The providers that need no server, held to the contract of all providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atdata.testing import IndexProviderTests


class TestMemory(IndexProviderTests):
    is_shared = False

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"provider": "memory"}


class TestSQLiteInMemory(IndexProviderTests):
    is_shared = False

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"provider": "sqlite"}


class TestSQLiteFile(IndexProviderTests):
    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"provider": "sqlite", "path": tmp_path / "index.db"}
