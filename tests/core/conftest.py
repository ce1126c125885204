"""Servers that fail are asked again soon, where they do not say when."""

from __future__ import annotations

import pytest

from atdata import retries


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
