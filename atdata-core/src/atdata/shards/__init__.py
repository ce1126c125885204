"""How samples lie in a tar file: headers, writer, reader, runs of samples."""

from __future__ import annotations

from atdata.shards.reader import read_runs
from atdata.shards.runs import Run
from atdata.shards.writer import ShardDigest, ShardWriter

__all__ = ["Run", "ShardDigest", "ShardWriter", "read_runs"]
