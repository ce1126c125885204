"""Members that are of one size and differ in the digits of their names alone.

That is how most shards are written, and it takes a third of the work to see that many members go on
so as to find members of any kind. It tells no more than that: what does not go on so is looked at
anew.
"""

from __future__ import annotations

import numpy as np

from atdata.shards import tar
from atdata.shards.members import (
    CHECKSUM_WORDS,
    SUFFIX,
    Members,
    differ_from_before,
    join_checksum,
    write_sums,
)
from atdata.shards.tar import BLOCK
from atdata.shards.template import ByteArray, Words

# The digits of a name are added up as four bits each, in a byte.
_MOST_DIGITS = 17
_PREFIX = 345
_DIGITS = b"0123456789"
_FREE_IN_NAME = bytes(0x0F if byte in _DIGITS else 0 for byte in range(256))
_ONES = np.uint64(0x0101_0101_0101_0101)
_FREE_IN_CHECKSUM = bytes(4) + b"\x07" * 6 + bytes(6)


class Numbered:
    """What the headers of a series have in common, but for the digits of names and checksums."""

    @classmethod
    def like(cls, members: Members, buffer: ByteArray) -> Numbered | None:
        """Learn from members that have been found; None if theirs is no such series."""
        start, size = int(members.headers[0]), int(members.sizes[0])
        stride = BLOCK + tar.padded(size)
        if (members.sizes != size).any() or members.end - start != stride * len(members.sizes):
            return None
        header = buffer[start : start + BLOCK].tobytes()
        name = header[: header.index(SUFFIX)]
        digits = name.translate(_FREE_IN_NAME).count(0x0F)
        return cls(header, name, size) if digits <= _MOST_DIGITS and not header[_PREFIX] else None

    def __init__(self, header: bytes, name: bytes, size: int) -> None:
        self._length = len(name)
        self._named = -(-len(name) // 8)
        self._size = size
        self._stride = BLOCK + tar.padded(size)
        self._words = np.frombuffer(header, np.uint64)
        free = name.translate(_FREE_IN_NAME).ljust(8 * self._named, b"\0")
        self._free = np.frombuffer(free, np.uint64)[:, None]
        self._fixed = ~np.frombuffer(free + _FREE_IN_CHECKSUM, np.uint64)[:, None]
        self._model = self._columns(self._words[None])
        self._checksums = write_sums(
            join_checksum(self._model)[0], np.arange(256) - int(self._digit_sums(self._model)[0])
        )

    def find(self, blocks: ByteArray, start: int, previous_key: bytes | None) -> Members | None:
        """Return the members that begin at the first block, if they all go on so."""
        count = blocks.size // self._stride
        if not count or blocks[0, : self._length].tobytes() == previous_key:
            return None
        rows = blocks.reshape(-1)[: count * self._stride].reshape(count, -1)[:, :BLOCK]
        if not self._are_all(rows.view(np.uint64)):
            return None
        headers = np.arange(start, start + count * self._stride, self._stride)
        return Members(headers, headers + BLOCK, np.full(count, self._size))

    def _are_all(self, words: Words) -> bool:
        for same in (slice(self._named, CHECKSUM_WORDS.start), slice(CHECKSUM_WORDS.stop, None)):
            if not (words[:, same] == self._words[same]).all():
                return False
        columns = self._columns(words)
        if ((columns ^ self._model) & self._fixed).any():
            return False
        if (join_checksum(columns) != self._checksums.take(self._digit_sums(columns))).any():
            return False
        return bool(differ_from_before(columns[: self._named]).all())

    def _columns(self, words: Words) -> Words:
        """Return the words with names and checksums, a row each: so they are compared faster."""
        columns = np.empty((self._named + 2, len(words)), np.uint64)
        columns[: self._named] = words[:, : self._named].T
        columns[self._named :] = words[:, CHECKSUM_WORDS].T
        return columns

    def _digit_sums(self, columns: Words) -> Words:
        digits: Words = (columns[: self._named] & self._free).sum(axis=0)
        return digits * _ONES >> np.uint64(56)
