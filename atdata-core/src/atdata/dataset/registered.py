"""What an index knows of the shards of a dataset, for comparing while they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from atdata.errors import AtdataError, ShardNotFoundError
from atdata.shards import Expected, ShardInfo


@dataclass(frozen=True)
class Registered:
    """The name of a dataset in its index, and what is known of its shards by their identifiers.

    Samples and bytes are compared wherever they are known, digests only with ``digests``. What no
    index knows has no name.
    """

    name: str | None = None
    shards: Mapping[str, ShardInfo] = field(default_factory=dict)
    digests: bool = False

    @property
    def count(self) -> int | None:
        """The number of samples in all shards; None where it is not known."""
        return sum(shard.count for shard in self.shards.values()) if self.shards else None

    def expected(self, shard_id: str) -> Expected | None:
        """Return what a shard must turn out to be; None where nothing is known."""
        known = self.shards.get(shard_id)
        if known is None:
            return None
        sha256 = known.sha256 if self.digests else None
        return Expected(known.count, known.bytes, sha256)

    def named(self, error: AtdataError) -> AtdataError:
        """Return an error of reading as one that names the dataset too."""
        if self.name is None or "dataset" in error.details:
            return error
        said = f"dataset {self.name!r}"
        if isinstance(error, ShardNotFoundError):
            said += ", whose shards may have been moved: put them back, or write it again"
        return type(error)(f"{error.message} ({said})", **{**error.details, "dataset": self.name})
