"""``Index`` held to the contract of all indexes, on the providers that need no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from atdata import Index
from atdata.protocols import AbstractIndex
from atdata.testing import IndexTests


class TestIndexInMemory(IndexTests):
    is_shared = False

    @pytest.fixture
    def open_index(self) -> Callable[[], AbstractIndex]:
        return lambda: Index(provider="memory")


class TestScratchIndex(IndexTests):
    is_shared = False

    @pytest.fixture
    def open_index(self) -> Iterator[Callable[[], AbstractIndex]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(Index())


class TestIndexInFile(IndexTests):
    @pytest.fixture
    def open_index(self, tmp_path: Path) -> Iterator[Callable[[], AbstractIndex]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(Index(path=tmp_path / "index.db"))
