"""Two ways of reading a shard, to be held against each other."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from atdata.dataset.batching import batch_rows
from atdata.errors import AtdataError
from atdata.shards import ShardReader
from atdata.shards.archive import Archive
from atdata.shards.runs import decode
from atdata.shards.window import SIZE, Window


def one_by_one(data: bytes, sample_type: type[Any]) -> list[Any]:
    """Read a shard's samples as carefully as can be."""
    window = Window()
    window.begin(io.BytesIO(data))
    archive = Archive(window, "the-shard")
    samples = []
    while archive.has_member():
        member = archive.take_member()
        if member is not None:
            key, payload = member
            samples.append(decode(sample_type, payload, "the-shard", partial(str, key)))
    return samples


def as_columns(stream: IO[bytes], sample_type: type[Any], window: int = SIZE) -> list[Any]:
    """Read a shard's samples as datasets do."""
    rows = ShardReader(sample_type, window=window).read(stream, "the-shard")
    return [sample for batch in batch_rows(rows, 5, sample_type) for sample in batch.samples]


def outcome(read: Callable[..., list[Any]], *arguments: Any) -> Any:
    """Return the samples, or what the error says."""
    try:
        return read(*arguments)
    except AtdataError as error:
        return type(error), str(error), error.details.get("key")
