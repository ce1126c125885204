"""Shards that are compressed with gzip, decompressed while they are read, and wary of bombs."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any, cast

from atdata.errors import CorruptDataError, LimitExceededError, TruncatedShardError
from atdata.shards.window import read_into

# Honest tensors rarely shrink a hundredfold; a bomb of zeros shrinks a thousandfold.
MAX_RATIO = 200
RATIO_APPLIES_FROM = 64 << 20


def open_gzip(stream: IO[bytes], shard: str) -> IO[bytes]:
    """Wrap a compressed stream; closing the result closes it too."""
    return _buffered(_OwnGzipShard(stream, shard))


def decompressed(stream: IO[bytes], shard: str, start: bytes) -> IO[bytes]:
    """Wrap a compressed stream whose start was read already; it is never closed."""
    return _buffered(_GzipShard(stream, shard, start))


def bytes_read(stream: IO[bytes]) -> int:
    """Return how much of the compressed stream has been read through one that decompresses it."""
    return cast("_GzipShard", cast("Any", stream).raw).bytes_read


def is_decompressed(stream: Any) -> bool:
    """Whether a stream decompresses what it reads, so that it is not to be decompressed again."""
    return isinstance(getattr(stream, "raw", None), _GzipShard)


def _buffered(stream: _GzipShard) -> IO[bytes]:
    return io.BufferedReader(stream, 1 << 20)


class _GzipShard(io.RawIOBase):
    def __init__(self, stream: IO[bytes], shard: str, start: bytes = b"") -> None:
        self._counted = _Counted(stream, start)
        self._gzip = gzip.GzipFile(fileobj=cast("IO[bytes]", self._counted), mode="rb")
        self._stream = stream
        self._shard = shard
        self._out = 0

    @property
    def bytes_read(self) -> int:
        return self._counted.count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        shard = self._shard
        try:
            count = int(self._gzip.readinto(buffer))
        except EOFError as error:
            raise TruncatedShardError(
                f"gzip shard {shard} is truncated; copy or write it again", shard=shard
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CorruptDataError(
                f"shard {shard} is not valid gzip: {error}; copy or write it again", shard=shard
            ) from error
        self._out += count
        if self._out > max(RATIO_APPLIES_FROM, MAX_RATIO * self._counted.count):
            raise LimitExceededError(
                f"gzip shard {self._shard} expands more than {MAX_RATIO} times; "
                "decompress it first if you trust it",
                shard=self._shard,
            )
        return count


class _OwnGzipShard(_GzipShard):
    def close(self) -> None:
        self._stream.close()
        super().close()


class _Counted:
    """A stream that knows how much was read from it, a start that was read before included."""

    def __init__(self, stream: IO[bytes], start: bytes) -> None:
        self._stream = stream
        self._start = io.BytesIO(start)
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._start.read(size) or self._read(size)
        self.count += len(data)
        return data

    def _read(self, size: int) -> bytes:
        room = memoryview(bytearray(size))
        return bytes(room[: read_into(self._stream, room)])
