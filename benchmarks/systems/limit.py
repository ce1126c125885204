"""What no reader or writer of these bytes can beat by much: reading and writing them plainly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from mmap import mmap
from pathlib import Path
from typing import Any

from benchmarks.systems.system import Again, Reader, System
from benchmarks.workloads import Values, Workload

_BUFFER = 4 << 20


class Limit(System):
    """The shards that atdata wrote, as bytes."""

    def prepare(self, folder: Path, workload: Workload, samples: Iterable[Values]) -> list[Any]:
        return [shard.read_bytes() for shard in _shards(folder)]

    def write(self, folder: Path, workload: Workload, samples: list[bytes]) -> None:
        for number, shard in enumerate(samples):
            (folder / f"{number:06d}").write_bytes(shard)

    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        return Reader(Again(lambda: _read(folder)), lambda size: (size,))

    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        raise NotImplementedError("bytes are read in order")


def _shards(folder: Path) -> list[Path]:
    return sorted((folder.parent / "atdata").rglob("*.tar"))


def _read(folder: Path) -> Iterator[int]:
    # It begins where a page does: 16 bytes further, some processors copy at a tenth of their speed.
    buffer = mmap(-1, _BUFFER)
    for shard in _shards(folder):
        with shard.open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                yield size


SYSTEM = Limit()
