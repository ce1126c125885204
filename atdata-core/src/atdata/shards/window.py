"""A sliding window over a stream: one reused buffer, seen as the 512-byte blocks of a tar."""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np

from atdata.shards.tar import BLOCK

SIZE = 4 << 20
# The first read is small, so that the first sample comes soon; each one after is twice as long.
FIRST_READ = 256 << 10
_ALIGNMENT = 64


def aligned(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Make a buffer that files are read into fast, if from multiples of 64 bytes.

    Processors of AMD copy at a tenth of their speed to where lies 1 to 31 bytes further in its page
    of memory than what is copied.
    """
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % _ALIGNMENT
    return memory[start : start + size]


class Window:
    """The bytes of a stream from offset ``at`` on; refilling moves them and ends all views.

    One window serves one stream after the other, in the same buffer.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._target = min(FIRST_READ, size)
        self._size = size
        self.buffer = aligned(size)

    def begin(self, stream: IO[bytes]) -> None:
        """Start at the place where a stream is."""
        self._stream = stream
        self._start = self._end = self.at = 0

    def first(self, count: int) -> bytes:
        """Copy out the first bytes that were not skipped; fewer if the stream ends before."""
        if self.ready < count:
            self.fill(count)
        return self.peek(0, min(count, self.ready))

    def take(self) -> bytes:
        """Copy out and move past all that is ready."""
        taken = self.peek(0, self.ready)
        self.skip(len(taken))
        return taken

    def jump(self, count: int) -> None:
        """Move past bytes that may not be ready, in a stream that is a file."""
        self._stream.seek(count - self.ready, os.SEEK_CUR)
        self._start = self._end = 0
        self.at += count

    @property
    def ready(self) -> int:
        """How many bytes are there without reading."""
        return self._end - self._start

    @property
    def start(self) -> int:
        """Where in ``buffer`` the window begins, a multiple of the block size."""
        return self._start

    def blocks(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """View the whole blocks that are ready as rows of a matrix."""
        count = self.ready // BLOCK
        return self.buffer[self._start : self._start + count * BLOCK].reshape(count, BLOCK)

    def peek(self, start: int, stop: int) -> bytes:
        """Copy bytes out, by their distance from the window's first byte."""
        return self.buffer[self._start + start : self._start + stop].tobytes()

    def skip(self, count: int) -> None:
        """Move past bytes that are ready."""
        self._start += count
        self.at += count

    def fill(self, wanted: int) -> bool:
        """Read until at least that many bytes are ready; False if the stream ends before."""
        ready = self.ready
        if self._start:
            self.buffer[:ready] = self.buffer[self._start : self._end]
            self._start, self._end = 0, ready
        target = max(wanted, self._target)
        self._target = min(2 * self._target, self._size)
        while self._end < target:
            if self._end == self.buffer.size:
                self._grow(wanted)
            count = read_into(self._stream, self.buffer.data[self._end : target])
            if not count:
                break
            self._end += count
        return self._end >= wanted

    def _grow(self, wanted: int) -> None:
        # What a header claims is believed only as far as the data really comes.
        larger = aligned(min(2 * self.buffer.size, wanted))
        larger[: self._end] = self.buffer[: self._end]
        self.buffer = larger


def read_into(stream: Any, room: memoryview) -> int:
    """Read once from a stream that has ``readinto`` or ``read``; 0 at its end."""
    readinto = getattr(stream, "readinto", None)
    if readinto is not None:
        return readinto(room) or 0
    data = stream.read(len(room))
    room[: len(data)] = data
    return len(data)
