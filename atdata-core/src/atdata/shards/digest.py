"""Digests of shards, computed while they are read."""

from __future__ import annotations

import hashlib
from typing import IO, Any


class DigestStream:
    """A stream that digests what is read of it; closing it closes the stream underneath.

    It is never taken for the local file that it may be, so all bytes come through it, in order.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._readinto: Any = getattr(stream, "readinto", None)
        self._sha256 = hashlib.sha256()

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of a buffer and return how long it is; 0 at the end."""
        if self._readinto is not None:
            count = self._readinto(buffer) or 0
        else:
            data = self._stream.read(len(buffer))
            count = len(data)
            buffer[:count] = data
        self._sha256.update(buffer[:count])
        return count

    def sha256(self) -> str:
        """Return the SHA-256, in hex, of what has been read."""
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Close the stream underneath."""
        self._stream.close()
