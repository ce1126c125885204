"""Opening gzip-compressed shards, for those who ask: streamed, and wary of bombs."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any, cast

from atdata.errors import CorruptDataError, LimitExceededError, TruncatedShardError

# Honest tensors rarely shrink a hundredfold; a bomb of zeros shrinks a thousandfold.
MAX_RATIO = 200
RATIO_APPLIES_FROM = 64 << 20


def open_gzip(stream: IO[bytes], shard: str) -> IO[bytes]:
    """Wrap a compressed stream; closing the result closes it too."""
    return io.BufferedReader(_GzipShard(stream, shard), 1 << 20)


class _GzipShard(io.RawIOBase):
    def __init__(self, stream: IO[bytes], shard: str) -> None:
        self._counted = _Counted(stream)
        self._gzip = gzip.GzipFile(fileobj=cast("IO[bytes]", self._counted), mode="rb")
        self._stream = stream
        self._shard = shard
        self._out = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        shard = self._shard
        try:
            count = int(self._gzip.readinto(buffer))
        except EOFError as error:
            raise TruncatedShardError(f"gzip shard {shard} is truncated", shard=shard) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CorruptDataError(
                f"shard {shard} is not valid gzip: {error}", shard=shard
            ) from error
        self._out += count
        if self._out > max(RATIO_APPLIES_FROM, MAX_RATIO * self._counted.count):
            raise LimitExceededError(
                f"gzip shard {self._shard} expands more than {MAX_RATIO} times; "
                "decompress it first if you trust it",
                shard=self._shard,
            )
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Counted:
    """A stream that knows how much was read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data
