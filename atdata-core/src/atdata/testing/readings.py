"""What the kits write and read: samples of one type, and shards of them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from atdata.samples import PackableSample, packable
from atdata.shards import ShardWriter


@packable
class Reading(PackableSample):
    """A number with a text and an array."""

    number: int
    text: str
    values: NDArray[np.float32]


def readings(count: int, start: int = 0) -> list[Reading]:
    """Make samples with successive numbers."""
    return [
        Reading(number, f"reading {number}", np.full(4, number, np.float32))
        for number in range(start, start + count)
    ]


def shard_of(samples: list[Reading]) -> bytes:
    """Return the bytes of one shard that holds these samples."""
    stream = io.BytesIO()
    writer = ShardWriter(stream)
    for sample in samples:
        writer.write(f"{sample.number:09d}", sample.packed)
    writer.finish()
    return stream.getvalue()
