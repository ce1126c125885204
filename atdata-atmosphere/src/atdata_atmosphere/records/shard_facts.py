"""What is known of each shard of a dataset beyond where it lies.

``atdataShards`` is an addition of ours that other readers pass over: for each shard, in order and
with patterns expanded, ``samples``, ``bytes``, ``sha256`` in hex, and ``split`` if it is in one.
Blobs have no names that could tell splits apart, and counting samples means reading everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atdata_atmosphere.records.bounds import Reader
from atdata_atmosphere.records.storage import MAX_SHARDS

KEY = "atdataShards"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardFacts:
    """Samples, bytes, SHA-256 in hex, and split of one shard."""

    samples: int
    bytes: int
    sha256: str
    split: str | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form."""
        found = {"samples": self.samples, "bytes": self.bytes, "sha256": self.sha256}
        return {**found, "split": self.split} if self.split else found


def write_facts(facts: Sequence[ShardFacts] | None) -> dict[str, Any]:
    """Return the fields of a record that tell sizes, none where nothing is known."""
    if not facts:
        return {}
    return {
        "size": {
            "samples": sum(fact.samples for fact in facts),
            "bytes": sum(fact.bytes for fact in facts),
            "shards": len(facts),
        },
        KEY: [fact.to_record() for fact in facts],
    }


def read_facts(reader: Reader) -> tuple[ShardFacts, ...] | None:
    """Read what a record says of each shard, None where it says nothing."""
    items = reader.items(KEY, MAX_SHARDS)
    if not items:
        return None
    return tuple(_read(reader.of(item, f"{KEY}[{n}]")) for n, item in enumerate(items))


def _read(shard: Reader) -> ShardFacts:
    samples, size = shard.optional_count("samples"), shard.optional_count("bytes")
    if samples is None or size is None:
        raise shard.corrupt("samples" if samples is None else "bytes", "is missing")
    digest = shard.text("sha256", 64)
    if not _SHA256.fullmatch(digest):
        raise shard.corrupt("sha256", "is not a SHA-256 in hex")
    return ShardFacts(samples, size, digest, shard.optional_text("split", 200))
