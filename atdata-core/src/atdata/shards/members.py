"""Finding many members of an archive at once: headers compared as columns instead of parsed.

One header is parsed, and the headers behind it are compared with it: all bytes that never differ
between the members of one writer must be equal, the few that do (name, size, time) are checked as
columns, and the checksum must differ by just as much as they do. Whatever is not so ends the
series, and is left to the careful reader of single members.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from atdata.errors import CorruptDataError
from atdata.shards import tar
from atdata.shards.tar import BLOCK
from atdata.shards.template import ByteArray, Ints, Words, all_of, leading

# "ustar" at offset 257, as every form of tar since 1988 has it, in the word at 256.
_MAGIC_WORD = 32
_MAGIC_MASK = np.uint64(0x0000_FFFF_FFFF_FF00)
_MAGIC = np.uint64(int.from_bytes(b"\0ustar\0\0", "little"))
SUFFIX = b".msgpack"
_REGULAR = ord("0")
# The words with the size (from byte 4 of the first of them), the time and the checksum; of these
# the bytes that belong to something else.
_NUMBERS = slice(15, 20)
_COUNT = _NUMBERS.stop - _NUMBERS.start
_FIXED_IN_NUMBERS = b"\xff" * 4 + bytes(30) + b"\xff" * 6
_FIXED_IN_KEYS = bytes(0xFF if byte < ord("0") else 0 for byte in range(256))
_OCTAL_PLACES = np.arange(15, -1, -3)


class Members(NamedTuple):
    """Consecutive ``.msgpack`` members that lie completely in a buffer, by offsets into it."""

    headers: Ints
    data: Ints
    sizes: Ints

    def after(self, count: int) -> Members:
        """Return the members but for the first few."""
        return Members(self.headers[count:], self.data[count:], self.sizes[count:])

    def before(self, count: int) -> Members:
        """Return the first few members."""
        return Members(self.headers[:count], self.data[:count], self.sizes[:count])

    @property
    def end(self) -> int:
        """Where the member behind the last one begins."""
        return int(self.data[-1]) + tar.padded(int(self.sizes[-1]))

    def span(self, position: int) -> slice:
        """Return where in the buffer the bytes of a member are."""
        start = int(self.data[position])
        return slice(start, start + int(self.sizes[position]))

    def shown_key(self, buffer: ByteArray, position: int) -> str:
        """Return the key of a member as errors show it."""
        return self.key(buffer, position).decode("utf-8", "replace")

    def key(self, buffer: ByteArray, position: int) -> bytes:
        """Return the key of a member, with the folders of its prefix."""
        start = int(self.headers[position])
        header = tar.parse_header(buffer[start : start + BLOCK].tobytes())
        return header.name.removesuffix(SUFFIX)


def find_members(blocks: ByteArray, start: int, previous_key: bytes | None) -> Members | None:
    """Find the series of members that the first block begins; None if that takes a closer look.

    ``start`` is where in the buffer the first block lies, ``previous_key`` the key of the sample
    before, which would go on if the first member had it too.
    """
    words = blocks.view(np.uint64)
    at = np.flatnonzero((words[:, _MAGIC_WORD] & _MAGIC_MASK) == _MAGIC)
    if not len(at) or at[0] != 0:
        return None
    extended = blocks[0, tar.KIND] == tar.PAX
    if extended:
        at = _behind_times(blocks, at)
    if not len(at):
        return None
    sizes, good = check_files(blocks, at, previous_key)
    ends = at + 1 + -(-sizes // BLOCK)
    good &= ends <= len(blocks)
    # Each member must begin, extended header first, where the one before it ends.
    good[1:] &= ends[:-1] + (2 if extended else 0) == at[1:]
    count = leading(good)
    offsets = start + at[:count] * BLOCK
    return Members(offsets, offsets + BLOCK, sizes[:count]) if count else None


def check_files(blocks: ByteArray, at: Ints, previous_key: bytes | None) -> tuple[Ints, Any]:
    """Return the sizes of the files with headers at some blocks, and which of them are good."""
    headers = _rows(blocks, at)
    first = headers[0].tobytes()
    header = _sound(first)
    key_length = first.find(SUFFIX + b"\0", 0, tar.MAX_NAME + 1)
    if header is None or key_length <= 0 or header.kind != _REGULAR:
        return np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    sizes, good, keys = _check_headers(headers, header.size, key_length)
    good &= _are_keys(keys)
    first_key = first[:key_length]
    base = first_key.rpartition(b"/")[2]
    if not base or b"." in base or b"\0" in first_key:
        good[0] = False
    good[0] &= header.name.removesuffix(SUFFIX) != previous_key
    return sizes, good


def _check_headers(headers: ByteArray, size: int, free: int) -> tuple[Ints, Any, Words]:
    """Return the sizes in some headers, which are like the first, and their names as words.

    The first few bytes are free unless they are below "0", size and time may differ too, and the
    checksum must, by just as much as all these do. The first is sound and says the given size.
    """
    words = headers.view(np.uint64)
    named = -(-free // 8)
    good = np.ones(len(words), np.bool_)
    for same in (slice(named, _NUMBERS.start), slice(_NUMBERS.stop, None)):
        good &= all_of(words[:, same] == words[0, same])
    # Columns that lie together in memory are worked with many times as fast.
    columns = np.empty((named + _COUNT, len(words)), np.uint64)
    columns[:named] = words[:, :named].T
    columns[named:] = words[:, _NUMBERS].T
    keys, numbers = columns[:named], columns[named:]
    differing = columns ^ columns[:, :1]
    fixed = headers[0, :free].tobytes().translate(_FIXED_IN_KEYS).ljust(8 * named, b"\xff")
    good &= _none(differing & _column(fixed + _FIXED_IN_NUMBERS))
    sums = _byte_sums(keys)
    sizes = np.full(len(words), size)
    # Most often all sizes are equal, and all times.
    if (differing[named:-1] & _SIZE_AND_TIME).any():
        sizes, are_sizes = _sizes(numbers)
        good &= are_sizes
        sums += _byte_sums(numbers[:-1] & _SIZE_AND_TIME)
    good &= _are_checksums(numbers, sums)
    return sizes, good, keys


def _sound(header: bytes) -> tar.Header | None:
    """Read a header if it can be compared with others."""
    try:
        parsed = tar.parse_header(header)
    except CorruptDataError:
        return None
    # Checksums are compared as digits, and sizes as theirs where they differ.
    is_usual = header[tar.CHECKSUM].isdigit() and parsed.size <= tar.MAX_SIZE
    return parsed if is_usual else None


def _rows(blocks: ByteArray, at: Ints) -> ByteArray:
    """Return some blocks as a matrix, without copying them if they lie at equal distances."""
    if len(at) > 1:
        step = int(at[1] - at[0])
        if int(at[-1] - at[0]) == step * (len(at) - 1) and (np.diff(at) == step).all():
            return blocks[int(at[0]) :: step][: len(at)]
    return blocks[at]


# The bytes of a word are treated at once (H. S. Warren, Hacker's Delight, section 2-18); the first
# of them, as everything is little-endian here, is its lowest.
_LOW_BITS = np.uint64(0x7F7F_7F7F_7F7F_7F7F)
_HIGH_BITS = np.uint64(0x8080_8080_8080_8080)
_EVEN_BYTES = np.uint64(0x00FF_00FF_00FF_00FF)
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_PAIRS = np.uint64(0x0001_0001_0001_0001)
_LOW_HALF = np.uint64(0xFFFF_FFFF)
_HALF = np.uint64(32)
_SIZE_AND_TIME = np.array([[_LOW_HALF << np.uint64(32)], [_ALL], [_ALL], [_LOW_HALF]])
_ZEROS = 0x3030_3030_3030_3030
# Added to a byte below 128, it carries into the high bit from "0" on.
_FROM_ZERO = np.uint64(0x5050_5050_5050_5050)


def _column(data: bytes) -> Words:
    return np.frombuffer(data, np.uint64)[:, None]


def _none(columns: Words) -> Any:
    """Tell in which places all columns are zero."""
    return np.bitwise_or.reduce(columns, axis=0) == 0


def _byte_sums(words: Words) -> Words:
    """Add up the bytes of some words, a column each."""
    pairs = (words & _EVEN_BYTES) + ((words >> np.uint64(8)) & _EVEN_BYTES)
    sums: Words = ((pairs * _PAIRS) >> np.uint64(48)).sum(axis=0)
    return sums


def _sizes(numbers: Words) -> tuple[Ints, Any]:
    """Read eleven digits that a NUL or space ends."""
    upper = (numbers[0] >> np.uint64(32)) | (numbers[1] << np.uint64(32))
    lower = (numbers[1] >> np.uint64(32) << np.uint64(40)) | np.uint64(_ZEROS >> 24)
    thousands, are_digits = _octal(upper)
    ones, are_more = _octal(lower)
    end = numbers[1] >> np.uint64(56)
    sizes = (thousands << np.uint64(9)) + ones
    return sizes.astype(np.int64), are_digits & are_more & ((end == 0) | (end == ord(" ")))


def _are_checksums(numbers: Words, sums: Words) -> Any:
    """Require six digits that differ from the first, which are right, as sums of bytes do."""
    stored = join_checksum(numbers)
    lowest, first = int(sums.min()), int(sums[0])
    # Writing the few sums that occur takes less than reading every checksum.
    written = write_sums(stored[0], np.arange(lowest, int(sums.max()) + 1) - first)
    # numpy before 2.1 takes no unsigned numbers for places.
    return stored == written.take((sums - np.uint64(lowest)).view(np.int64))


def join_checksum(columns: Words) -> Words:
    """Make one word of the checksum field, which lies in two of them, the last columns."""
    joined: Words = (columns[-2] >> _HALF) | (columns[-1] << _HALF)
    return joined


def write_sums(checksum: np.uint64, differences: Ints) -> Words:
    """Write checksums that differ by so much from one that six digits tell."""
    first = int(checksum).to_bytes(8, "little")
    written = np.empty((len(differences), 8), np.uint8)
    written[:, :6] = (differences[:, None] + int(first[:6], 8) >> _OCTAL_PLACES) & 7 | ord("0")
    written[:, 6:] = tuple(first[6:])
    return written.view(np.uint64)[:, 0]


def _octal(digits: Words) -> tuple[Words, Any]:
    """Read words of eight octal digits, and tell which are that: 1, 2, then 4 digits at a time."""
    values = digits ^ np.uint64(_ZEROS)
    are_digits = values & np.uint64(0xF8F8_F8F8_F8F8_F8F8) == 0
    values = ((values << np.uint64(3)) + (values >> np.uint64(8))) & _EVEN_BYTES
    values = ((values << np.uint64(6)) + (values >> np.uint64(16))) & np.uint64(0xFFFF_0000_FFFF)
    return ((values << np.uint64(12)) + (values >> np.uint64(32))) & _LOW_HALF, are_digits


def _are_keys(keys: Words) -> Any:
    """Require keys that differ from the one before, and from the first in letters and digits alone.

    Every byte that could end a key or name a folder (dot, slash, NUL) is below "0"; those of the
    first are known to be in all others too.
    """
    at_least_zero = (((keys & _LOW_BITS) + _FROM_ZERO) | keys) & _HIGH_BITS
    good = _none(at_least_zero ^ at_least_zero[:, :1])
    good[1:] &= differ_from_before(keys)
    return good


def differ_from_before(keys: Words) -> Any:
    """Tell which keys but the first differ from the one before."""
    # The last bytes are those that most often do.
    differ = keys[-1, 1:] != keys[-1, :-1]
    return differ if differ.all() else (keys[:, 1:] != keys[:, :-1]).any(axis=0)


# How a PAX record begins that says when a file was modified, by its length in digits.
_SHORTEST = len("10 mtime=")
_RECORDS = np.frombuffer(b"".join(b"%02d mtime" % length for length in range(100)), np.uint64)


def _behind_times(blocks: ByteArray, at: Ints) -> Ints:
    """Return the headers behind PAX headers that hold nothing but a time of modification.

    That is how webdataset's writer stores every sample, its times being fractional.
    """
    files = at[1::2]
    extended = at[0::2][: len(files)]
    if not len(files):
        return files
    rows = _rows(blocks, extended)
    header = _sound(rows[0].tobytes())
    if header is None:
        return files[:0]
    lengths, good, _ = _check_headers(rows, header.size, 0)
    good &= (files == extended + 2) & are_times(_rows(blocks[1:], extended), lengths)
    return files[: leading(good)]


def are_times(records: ByteArray, lengths: Ints) -> Any:
    """Require one record like ``28 mtime=1795167491.1901739`` and a line feed each."""
    good = (lengths > _SHORTEST) & (lengths < len(_RECORDS))
    good &= records[:, :8].view(np.uint64)[:, 0] == _RECORDS.take(lengths, mode="clip")
    last = records[np.arange(len(records)), np.minimum(lengths, BLOCK) - 1]
    good &= (records[:, 8] == ord("=")) & (last == ord("\n"))
    return good
