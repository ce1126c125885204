"""The store and the source, held to atdata's own kits."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from atdata import Dataset
from atdata.testing import DataSourceTests, DataStoreTests


class TestStoreOfFiles(DataStoreTests):
    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": "fsspec", "root": f"file://{tmp_path}/shards"}


class TestStoreInMemory(DataStoreTests):
    is_shared = False
    # All of it is in memory, so only little is put there.
    large_bytes = 1 << 20

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"store": "fsspec", "root": f"memory://{uuid.uuid4().hex}"}


class TestSource(DataSourceTests):
    @pytest.fixture
    def make_source(self, tmp_path: Path) -> Callable[[Mapping[str, bytes | None]], object]:
        def make(files: Mapping[str, bytes | None]) -> object:
            for name, data in files.items():
                if data is not None:
                    (tmp_path / name).write_bytes(data)
            return Dataset([f"fsspec://file/{tmp_path}/{name}" for name in files]).source

        return make


def test_the_place_of_a_store_holds_no_password() -> None:
    from atdata_fsspec.store import FsspecStore

    with pytest.raises(ValueError, match="given as options"):
        FsspecStore("ftp://me:hunter2@host/data")
