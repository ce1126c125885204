"""atdata reading the shards that webdataset wrote."""

from __future__ import annotations

from pathlib import Path

from benchmarks.systems.atdata import Atdata


class Foreign(Atdata):
    def shards(self, folder: Path) -> list[str]:
        return super().shards(folder.parent / "webdataset")


SYSTEM = Foreign()
