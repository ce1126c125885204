"""Sample types and other people's stores, for the tests of the index."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atdata import Dataset, PackableSample, packable
from atdata.index import IndexProvider, Key
from atdata.index.memory import MemoryProvider
from atdata.stores import LocalDiskStore


@packable
class Point(PackableSample):
    """A labelled vector."""

    vector: NDArray[np.float32]
    label: int


@packable
class Note:
    text: str
    tag: str | None = None


def changed(**annotations: Any) -> type:
    """Make another class called ``Note``."""
    return packable(type("Note", (), {"__annotations__": annotations}))


def points(count: int) -> Iterator[Point]:
    return (Point(vector=np.full(4, i, np.float32), label=i) for i in range(count))


def notes(*texts: str) -> list[Note]:
    return [Note(text=text) for text in texts]


class PlainStore:
    """A store that has the three documented methods, and nothing else."""

    def __init__(self, root: Path) -> None:
        self._disk = LocalDiskStore(root)
        self.options: dict[str, Any] = {}

    def write_shards(self, ds: Dataset[Any], *, prefix: str, **kwargs: Any) -> list[str]:
        self.options = kwargs
        cut = {name: kwargs[name] for name in ("maxcount",) if name in kwargs}
        paths = self._disk.write_shards(ds, prefix=prefix, **cut)
        return [f"plain:{path}" for path in paths]

    def read_url(self, url: str) -> str:
        return url.removeprefix("plain:")

    def supports_streaming(self) -> bool:
        return True


class CountingProvider(IndexProvider):
    """A provider that notes what it is asked, and can be told to fail."""

    def __init__(self) -> None:
        self._records = MemoryProvider()
        self.calls: list[str] = []
        self.fails_before: Exception | None = None
        self.fails_after: BaseException | None = None
        # Whether a commit that failed is followed by failures only, or takes place after all.
        self.stays_away = False
        self.is_late = False
        self._late: list[Any] = []

    @property
    def is_own(self) -> bool:
        return True

    def commit(self, ops: Any) -> None:
        self.calls.append("commit")
        ops = list(ops)
        is_dataset = any(op.key.kind == "dataset" for op in ops)
        if self._late:
            late, self._late = self._late, []
            self._records.commit(late)
        if self.fails_before is not None and (is_dataset or "failed" in self.calls):
            self.calls += ["failed"] * self.stays_away
            self._late = ops if self.is_late else []
            raise self.fails_before
        self._records.commit(ops)
        if is_dataset and self.fails_after is not None:
            raise self.fails_after

    def get(self, key: Key) -> bytes:
        self.calls.append("get")
        return self._records.get(key)

    def scan(
        self,
        kind: str,
        name: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[Key, bytes]]:
        self.calls.append("scan")
        return self._records.scan(kind, name, after=after, limit=limit, reverse=reverse)

    def close(self) -> None:
        self._records.close()


def files(folder: Path) -> list[Path]:
    """Return all files below a folder, but for the one that tells this folder from others."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path.parts[-2:] != (".spool", "mark"))


def unique_name() -> str:
    return f"n{uuid.uuid4().hex}"
