"""Members that are of one size and whose headers differ in digits alone: those of names and times.

That is how most shards are written, webdataset's among them, and it takes a third of the work to
see that many members go on so as to find members of any kind. It tells no more than that: what does
not go on so is looked at anew.
"""

from __future__ import annotations

import numpy as np

from atdata.shards import tar
from atdata.shards.members import (
    SUFFIX,
    Members,
    are_times,
    differ_from_before,
    join_checksum,
    write_sums,
)
from atdata.shards.tar import BLOCK
from atdata.shards.template import ByteArray, Ints, Words, leading, spans

_DIGITS = b"0123456789"
_FREE = bytes(0x0F if byte in _DIGITS else 0 for byte in range(256))
# The sum of the digits of a header fits into a byte.
_MOST = 0xFF
_NAME_WORDS = tar.MAX_NAME // 8
# Of a time, the last three digits may differ: they lie in one word with the checksum.
_TIME = slice(144, 147)
# Of sizes below 64, the last two digits may differ: bytes 5 and 6 of a word.
_SIZE = slice(124, 135)
_SMALL_SIZES = frozenset(b"%011o" % size for size in range(64))
_SIZE_DIGITS = slice(133, 135)
_SIZE_WORD = 16
_BOTH_DIGITS = np.uint64(0x0707)
_LENGTHS = (np.arange(0x0708) & 7) * 8 + (np.arange(0x0708) >> 8)
_ONES = np.uint64(0x0101_0101_0101_0101)


class _Header:
    """A header that many are like, but for some digits and the checksum, which must fit them."""

    @classmethod
    def like(cls, header: bytes) -> _Header | None:
        """Take one of them; None if it has more digits than can be added up."""
        digits = _digits(header)
        return cls(header, digits) if sum(digits) <= _MOST else None

    def __init__(self, header: bytes, digits: bytearray) -> None:
        """Take one of them, and a mask of the bits that may differ, the checksum's aside."""
        free = digits.copy()
        free[tar.CHECKSUM] = b"\x07" * 6
        mask = np.frombuffer(free, np.uint64)
        self.places = np.flatnonzero(mask)
        # How many of these words are the name's.
        self.named = int(np.searchsorted(self.places, _NAME_WORDS, "right"))
        self._free = spans(mask != 0)
        self._words = np.frombuffer(header, np.uint64)
        self._model = self._words[self.places, None]
        self._fixed = ~mask[self.places, None]
        self._digits = np.frombuffer(digits, np.uint64)[self.places, None]
        most = sum(digits)
        self._checksums = write_sums(
            join_checksum(self._model)[0], np.arange(most + 1) - int(self._sums(self._model)[0])
        )

    def columns(self, words: Words) -> Words | None:
        """Return the words that differ as rows, those of the checksum last; None if more does."""
        # One comparison takes less than several, even of less.
        are_equal = words == self._words
        for start, stop in self._free:
            are_equal[:, start:stop] = True
        if not are_equal.all():
            return None
        # What lies together in memory is worked with many times as fast.
        columns: Words = words.T[self.places]
        if ((columns ^ self._model) & self._fixed).any():
            return None
        are_sums = join_checksum(columns) == self._checksums.take(self._sums(columns))
        return columns if are_sums.all() else None

    def _sums(self, columns: Words) -> Ints:
        """Add up the digits, whose sums fit into a byte."""
        sums: Words = (columns & self._digits).sum(axis=0)
        # numpy before 2.1 takes no unsigned numbers for places.
        return (sums * _ONES >> np.uint64(56)).view(np.int64)


class Numbered:
    """What the headers of a series have in common, but for their digits."""

    @classmethod
    def like(cls, members: Members, buffer: ByteArray, start: int) -> Numbered | None:
        """Learn from members that have been found from a place on; None if it is no such series."""
        size = int(members.sizes[0])
        stride = int(members.headers[0]) - start + BLOCK + tar.padded(size)
        is_even = members.end - start == stride * len(members.sizes)
        if not is_even or (members.sizes != size).any():
            return None
        block = buffer[members.headers[0] :][:BLOCK].tobytes()
        header = _Header.like(block)
        if header is None or not header.named or block[tar.PREFIX]:
            return None
        if members.headers[0] == start:
            return cls(header, None, block.index(SUFFIX + b"\0"), size)
        block_before = buffer[start:][:BLOCK].tobytes()
        extended = _Header.like(block_before) if block_before[_SIZE] in _SMALL_SIZES else None
        return (
            cls(header, extended, block.index(SUFFIX + b"\0"), size)
            if extended is not None
            else None
        )

    def __init__(self, header: _Header, extended: _Header | None, key: int, size: int) -> None:
        """Take the headers of a file and in front of it, and the lengths of its key and data."""
        self._header = header
        self._extended = extended
        self._key = key
        # Where in a sample the header lies.
        self._at = 2 * BLOCK if extended is not None else 0
        self._size = size
        self._stride = self._at + BLOCK + tar.padded(size)

    def find(self, blocks: ByteArray, start: int, previous_key: bytes | None) -> Members | None:
        """Return the members that begin at the first block, if they all go on so."""
        rows = self._rows(blocks)
        if not len(rows) or not self._are_times(rows) or not self._are_names(rows, previous_key):
            return None
        headers = start + self._at + np.arange(len(rows)) * self._stride
        return Members(headers, headers + BLOCK, np.full(len(rows), self._size))

    def _rows(self, blocks: ByteArray) -> ByteArray:
        """Return what may be whole samples, without the zeros that end an archive."""
        count = blocks.size // self._stride
        rows = blocks.reshape(-1)[: count * self._stride].reshape(count, self._stride)
        return rows[: leading(rows[:, 0] != 0)] if count and not rows[-1, 0] else rows

    def _are_times(self, rows: ByteArray) -> bool:
        """Require what ``find_members`` does of the headers in front of those of files."""
        if self._extended is None:
            return True
        columns = self._extended.columns(rows[:, :BLOCK].view(np.uint64))
        if columns is None:
            return False
        sizes = columns[np.searchsorted(self._extended.places, _SIZE_WORD)]
        lengths = _LENGTHS.take((sizes >> np.uint64(40) & _BOTH_DIGITS).view(np.int64))
        return bool(are_times(rows[:, BLOCK : 2 * BLOCK], lengths).all())

    def _are_names(self, rows: ByteArray, previous_key: bytes | None) -> bool:
        headers = rows[:, self._at : self._at + BLOCK]
        if headers[0, : self._key].tobytes() == previous_key:
            return False
        columns = self._header.columns(headers.view(np.uint64))
        return columns is not None and bool(differ_from_before(columns[: self._header.named]).all())


def _digits(header: bytes) -> bytearray:
    """Return a mask of the bits that may differ: in name and time, and in size if it extends."""
    name, mask = header[: tar.MAX_NAME].partition(b"\0")[0], bytearray(BLOCK)
    mask[: len(name)] = name.translate(_FREE)
    mask[_TIME] = header[_TIME].translate(_FREE)
    if header[tar.KIND] == tar.PAX:
        mask[_SIZE_DIGITS] = b"\x07\x07"
    return mask
