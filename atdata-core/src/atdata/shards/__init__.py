"""How samples lie in a tar file: headers, writer, reader, runs of samples seen as columns.

To read the reader, begin with ``tar`` (headers), ``window`` (the bytes at hand) and ``archive``
(members one by one); then ``members`` (many at once; ``numbered`` does it faster where names are
numbers), ``layout`` (where fields lie in a sample), ``runs`` and ``columns`` (fields of many
samples), ``large`` (values that stay in their file), and last ``reader``, which puts them together.
``shard`` says what is known of a shard, and ``digest`` digests one while it is read.
"""

from __future__ import annotations

from atdata.shards.columns import Columns, Form, Places
from atdata.shards.digest import DigestStream
from atdata.shards.reader import ShardReader
from atdata.shards.runs import Rows, Run, Samples, in_chunks
from atdata.shards.shard import Expected, ShardInfo
from atdata.shards.writer import ShardDigest, ShardWriter, write_all

__all__ = [
    "Columns",
    "DigestStream",
    "Expected",
    "Form",
    "Places",
    "Rows",
    "Run",
    "Samples",
    "ShardDigest",
    "ShardInfo",
    "ShardReader",
    "ShardWriter",
    "in_chunks",
    "write_all",
]
