"""The provider in memory, held to the contract of all providers."""

from __future__ import annotations

from typing import Any

import pytest

from atdata.testing import IndexProviderTests


class TestMemory(IndexProviderTests):
    is_shared = False

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"provider": "memory"}
