"""What other processes do with a data source in its kit."""

from __future__ import annotations

import pickle
from typing import Any

from atdata.dataset import Dataset
from atdata.testing.children import in_fork
from atdata.testing.memory import forget_peak, peak_bytes
from atdata.testing.readings import Reading

_CHUNK = 1 << 20


def list_shards(source: Any) -> list[str]:
    """Return the identifiers of a source that came from another process."""
    return list(source.list_shards())


def list_copy(pickled: bytes) -> list[str]:
    """Make a source anew, and list it."""
    return list_shards(pickle.loads(pickled))  # noqa: S301 -- the kit pickled it


def numbers(source: Any) -> list[int]:
    """Read all samples, and return what they are numbered."""
    return [reading.number for reading in Dataset[Reading](source)]


def read_on_both_sides_of_a_fork(source: Any) -> bool:
    """Read a source, then in a forked child while a shard is open, and in the parent again."""
    expected = numbers(source)
    with source.open_shard(source.list_shards()[0]) as stream:
        start = stream.read(512)
        well = in_fork(lambda: numbers(source) == expected)
        rest = b"".join(iter(lambda: stream.read(_CHUNK), b""))
    with source.open_shard(source.list_shards()[0]) as again:
        whole = b"".join(iter(lambda: again.read(_CHUNK), b""))
    return well and start + rest == whole and numbers(source) == expected


def read_large(source: Any) -> tuple[int, int]:
    """Read a small and a large shard; return the size of that, and by how much memory grew."""
    small, large = source.list_shards()
    # What is imported and connected at first use is not the shard's.
    _read(source, small)
    forget_peak()
    before = peak_bytes()
    return _read(source, large), peak_bytes() - before


def _read(source: Any, shard: str) -> int:
    with source.open_shard(shard) as stream:
        return sum(map(len, iter(lambda: stream.read(_CHUNK), b"")))
