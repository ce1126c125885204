"""``LocalDiskStore`` held to the kit of data stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atdata.testing import DataStoreTests


class TestLocalDiskStore(DataStoreTests):
    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": "disk", "root": tmp_path / "root"}


@pytest.mark.slow
class TestManyKilledWriters(TestLocalDiskStore):
    kills = 100
