"""How samples lie in a tar file: headers, writer, reader, runs of samples seen as columns."""

from __future__ import annotations

from atdata.shards.columns import Columns, Form, Places
from atdata.shards.reader import read_rows
from atdata.shards.runs import Rows, Samples
from atdata.shards.writer import ShardDigest, ShardWriter

__all__ = [
    "Columns",
    "Form",
    "Places",
    "Rows",
    "Samples",
    "ShardDigest",
    "ShardWriter",
    "read_rows",
]
