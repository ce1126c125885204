"""What is known of a shard: since it was written, and again when it is about to be read."""

from __future__ import annotations

from dataclasses import dataclass

from atdata.errors import CorruptDataError


@dataclass(frozen=True)
class ShardInfo:
    """A stored shard: its URL, samples, bytes, SHA-256 in hex, and split if it belongs to one."""

    url: str
    count: int
    bytes: int
    sha256: str
    split: str | None = None


@dataclass(frozen=True)
class Expected:
    """What a shard must turn out to be: samples, bytes, and SHA-256 in hex.

    ``sha256`` is None where the digest is not compared. Each check raises ``CorruptDataError``.
    """

    count: int
    bytes: int
    sha256: str | None = None

    def check_count(self, shard: str, found: int) -> None:
        """Compare the number of samples."""
        if found != self.count:
            raise self._differs(shard, f"it holds {found} samples, not {self.count}", found=found)

    def check_bytes(self, shard: str, found: int) -> None:
        """Compare the size in bytes."""
        if found != self.bytes:
            raise self._differs(shard, f"it has {found} bytes, not {self.bytes}", found=found)

    def check_digest(self, shard: str, found: str) -> None:
        """Compare the SHA-256."""
        if self.sha256 not in (None, found):
            reason = f"its SHA-256 is {found}, not {self.sha256}"
            raise self._differs(shard, reason, expected=self.sha256, found=found)

    def _differs(self, shard: str, reason: str, **details: object) -> CorruptDataError:
        return CorruptDataError(
            f"shard {shard} is not the one that was registered: {reason}; "
            "restore it, or write the dataset again",
            shard=shard,
            **details,
        )
