"""``URLSource`` held to the kit of data sources, on the disk and over the web."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.web_server import Web, serving

from atdata import Dataset
from atdata.testing import DataSourceTests
from atdata.testing.sources import MakeSource


def write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    for name, data in files.items():
        if data is not None:
            (folder / name).write_bytes(data)


class TestLocalFiles(DataSourceTests):
    @pytest.fixture
    def make_source(self, tmp_path: Path) -> MakeSource:
        def make(files: Mapping[str, bytes | None]) -> object:
            write(tmp_path, files)
            return Dataset([tmp_path / name for name in files]).source

        return make


class TestTheWeb(DataSourceTests):
    @pytest.fixture
    def web(self, tmp_path: Path) -> Iterator[Web]:
        with serving(tmp_path) as web:
            yield web

    @pytest.fixture
    def make_source(self, tmp_path: Path, web: Web) -> MakeSource:
        def make(files: Mapping[str, bytes | None]) -> object:
            write(tmp_path, files)
            return Dataset([f"{web.url}/{name}?token=s3cret" for name in files]).source

        return make
