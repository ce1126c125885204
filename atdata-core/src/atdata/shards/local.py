"""Shards that are local files, read by position: into many places at once, in two threads."""

from __future__ import annotations

import io
import os
import stat
import weakref
from collections.abc import Iterable, Sequence
from typing import IO, Any, NamedTuple

from atdata.shards.archive import truncated
from atdata.shards.parallel import in_two_threads

# Bytes that nobody wants are read too where that costs less than another call to the system.
_GAP = 8 << 10
# Buffers and gaps that are filled in one call; two threads share the calls.
_TOGETHER = 16


class LocalFile:
    """A regular file that is open for reading, read by position; the stream stays where it is."""

    def __init__(self, stream: IO[bytes], shard: str) -> None:
        self._number = stream.fileno()
        self.shard = shard
        self.size = os.fstat(self._number).st_size
        # Where the shard begins.
        self.start = stream.tell()
        self._unwanted = memoryview(bytearray(_GAP))

    @classmethod
    def of(cls, stream: Any, shard: str) -> LocalFile | None:
        """Return the file behind a stream; None if there is none, or none to be read by position.

        Only the standard library's own streams say what their file number means: that of a
        decompressor is the number of the compressed file.
        """
        raw = stream.raw if type(stream) is io.BufferedReader else stream
        if type(raw) is not io.FileIO or not hasattr(os, "preadv"):
            return None
        is_file = stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
        return cls(stream, shard) if is_file else None

    def first(self, count: int) -> bytes:
        """Return the first bytes of the shard, fewer if it is shorter."""
        return os.pread(self._number, count, self.start)

    def read(self, at: int, parts: Sequence[Any]) -> None:
        """Fill buffers with what begins at a place, one after the other.

        ``TruncatedShardError`` if the file ends before.
        """
        if os.preadv(self._number, parts, at) == sum(map(len, parts)):
            return
        # Network file systems may stop short of what was asked for.
        for part in parts:
            self._read_part(memoryview(part), at)
            at += len(part)

    def reads(self, wanted: Iterable[tuple[int, memoryview]]) -> list[Read]:
        """Plan the filling of buffers with what begins at their places.

        Those whose places lie close behind each other are filled in one call to the system.
        """
        reads: list[Read] = []
        parts: list[memoryview] = []
        end = 0
        for at, buffer in wanted:
            if parts and 0 <= at - end <= _GAP and len(parts) < _TOGETHER:
                parts += (self._unwanted[: at - end], buffer)
            else:
                parts = [buffer]
                reads.append(Read(self, at, parts))
            end = at + len(buffer)
        return reads

    def _read_part(self, rest: memoryview, at: int) -> None:
        while rest:
            count = os.preadv(self._number, [rest], at)
            if not count:
                raise truncated(self.shard, os.fstat(self._number).st_size - self.start)
            rest, at = rest[count:], at + count

    def keep_open(self) -> None:
        """Stay readable when the stream is closed, until nobody needs it."""
        self._number = os.dup(self._number)
        weakref.finalize(self, os.close, self._number)

    def expect(self, at: int, size: int) -> None:
        """Let the system begin to fetch what will be read soon."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._number, at, size, os.POSIX_FADV_WILLNEED)


class Read(NamedTuple):
    """Buffers that are to be filled with what begins at a place of a file."""

    file: LocalFile
    at: int
    parts: Sequence[memoryview]

    @property
    def size(self) -> int:
        """The bytes to be read."""
        return sum(map(len, self.parts))


def read_all(reads: Sequence[Read]) -> None:
    """Fill the buffers, in two threads if they are large."""
    in_two_threads(_read_some, reads, sum(read.size for read in reads))


def _read_some(reads: Iterable[Read]) -> None:
    for file, at, parts in reads:
        file.read(at, parts)
