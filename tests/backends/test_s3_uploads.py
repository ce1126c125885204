"""The parts of a file that are uploaded at once, each read from its own place."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atdata_s3.uploads import FilePart


@pytest.mark.parametrize("has_preadv", [True, False], ids=["preadv", "no preadv"])
def test_threads_read_their_own_parts_of_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_preadv: bool
) -> None:
    if not has_preadv:
        monkeypatch.delattr(os, "preadv")
    data = os.urandom(100_000)
    (tmp_path / "file").write_bytes(data)

    def read(start: int) -> bytes:
        part = FilePart(file.fileno(), start, 1000)
        return b"".join(iter(lambda: part.read(70) or b"", b""))

    with (tmp_path / "file").open("rb") as file, ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(read, range(0, len(data), 1000))) == data
