"""Finding many members of an archive at once: headers compared as columns instead of parsed.

One header is parsed, and the headers behind it are compared with it: all bytes that never differ
between the members of one writer must be equal, the few that do (name, size, time) are checked as
columns, and the checksum must differ by just as much as they do. Whatever is not so ends the
series, and is left to the careful reader of single members.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from atdata.errors import CorruptDataError
from atdata.shards import tar
from atdata.shards.tar import BLOCK
from atdata.shards.template import ByteArray, Ints, Template, Words, all_of, leading

# "ustar" at offset 257, as every form of tar since 1988 has it, in the word at 256.
_MAGIC_WORD = 32
_MAGIC_MASK = np.uint64(0x0000_FFFF_FFFF_FF00)
_MAGIC = np.uint64(int.from_bytes(b"\0ustar\0\0", "little"))
_SUFFIX = b".msgpack"
_SIZE = slice(124, 135)
_SIZE_AND_TIME = slice(124, 148)
_CHECKSUM = slice(148, 154)
_KIND = 156
_REGULAR = ord("0")
# As floats, which BLAS multiplies fast; 11 octal digits are exact in them.
_OCTAL = 8.0 ** np.arange(10, -1, -1)


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
        """Return the key of a member."""
        start = int(self.headers[position])
        return _key_of(buffer[start : start + BLOCK].tobytes())


def find_members(blocks: ByteArray, start: int, previous_key: bytes | None) -> Members | None:
    """Find the series of members that the first block begins; None if that takes a closer look.

    ``start`` is where in the buffer the first block lies, ``previous_key`` the key of the sample
    before, which would go on if the first member had it too.
    """
    words = blocks.view(np.uint64)
    at = np.flatnonzero((words[:, _MAGIC_WORD] & _MAGIC_MASK) == _MAGIC)
    if not len(at) or at[0] != 0:
        return None
    extended = blocks[0, _KIND] == tar.PAX
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
    key_length = first.find(_SUFFIX + b"\0", 0, tar.MAX_NAME + 1)
    if key_length <= 0 or first[_KIND] != _REGULAR or not _is_sound(first):
        return np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    keys = _only(
        np.ascontiguousarray(headers.view(np.uint64)[:, : -(-key_length // 8)].T), key_length
    )
    sizes, good = _check_headers(headers, first, key_length, _byte_sums(keys))
    good &= _are_keys(keys, first[:key_length])
    good[0] &= _key_of(first) != previous_key
    return sizes, good


def _check_headers(headers: ByteArray, first: bytes, free: int, free_sums: Any) -> tuple[Ints, Any]:
    """Return the sizes of some headers, and which are like the first but for their first few bytes.

    Size and time may differ too, and the checksum must, by just as much as all these do.
    """
    before, after = first[free : _SIZE_AND_TIME.start], first[_CHECKSUM.stop :]
    good = _template(before, after).matches(headers.view(np.uint64))
    change = free_sums - free_sums[0]
    varying = headers[:, _SIZE_AND_TIME]
    if first[_SIZE].isdigit() and (varying == varying[0]).all():
        sizes = np.full(len(headers), int(first[_SIZE], 8), np.int64)
    else:
        sums = varying.astype(np.float64).sum(axis=1)
        change = change + sums - sums[0]
        sizes, are_sizes = _sizes(headers)
        good &= are_sizes
    return sizes, good & _checksums_match(headers, first, change)


@lru_cache(maxsize=64)
def _template(before: bytes, after: bytes) -> Template:
    """Make the template of headers that are free but for bytes up to the size and the last ones."""
    stop = _SIZE_AND_TIME.start
    start, rest = stop - len(before), BLOCK - len(after)
    model = bytes(start) + before + bytes(rest - stop) + after
    return Template(model, [slice(start, stop), slice(rest, BLOCK)])


def _key_of(header: bytes) -> bytes:
    """Return the key that a good header names, with the folders of its prefix."""
    return tar.parse_header(header).name.removesuffix(_SUFFIX)


def _is_sound(header: bytes) -> bool:
    try:
        tar.parse_header(header)
    except CorruptDataError:
        return False
    # The checksum is compared digit by digit below, so it must have the usual form.
    return header[_CHECKSUM].isdigit()


def _rows(blocks: ByteArray, at: Ints) -> ByteArray:
    """Return some blocks as a matrix, without copying them if they lie at equal distances."""
    if len(at) > 1:
        step = int(at[1] - at[0])
        if int(at[-1] - at[0]) == step * (len(at) - 1) and (np.diff(at) == step).all():
            return blocks[int(at[0]) :: step][: len(at)]
    return blocks[at]


def _numbers(digits: ByteArray) -> tuple[Any, Any]:
    """Read rows of octal digits, and tell which are nothing else."""
    values = digits - np.uint8(ord("0"))
    return values.astype(np.float64) @ _OCTAL[-digits.shape[1] :], all_of(values < 8)


def _sizes(headers: ByteArray) -> tuple[Ints, Any]:
    end = headers[:, _SIZE.stop]
    sizes, are_octal = _numbers(headers[:, _SIZE])
    return sizes.astype(np.int64), are_octal & ((end == 0) | (end == ord(" ")))


def _checksums_match(headers: ByteArray, first: bytes, change: Any) -> Any:
    """Compare how far each checksum is from the first with how far the bytes that differ are."""
    sums, are_octal = _numbers(headers[:, _CHECKSUM])
    return are_octal & (sums - int(first[_CHECKSUM], 8) == change)


# The bytes of a word are treated at once (H. S. Warren, Hacker's Delight, section 2-18).
_LOW_BITS = np.uint64(0x7F7F_7F7F_7F7F_7F7F)
_HIGH_BITS = np.uint64(0x8080_8080_8080_8080)
_EVEN_BYTES = np.uint64(0x00FF_00FF_00FF_00FF)
_ONES = np.uint64(0x0001_0001_0001_0001)
# Added to a byte below 128, it carries into the high bit from "0" on.
_FROM_ZERO = np.uint64(0x5050_5050_5050_5050)


def _only(keys: Words, length: int) -> Words:
    """Blank what lies behind a key in its last word."""
    mask = np.full(keys.shape[0], 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
    if rest := length % 8:
        mask[-1] = (1 << 8 * rest) - 1
    return keys & mask[:, None]


def _byte_sums(keys: Words) -> Any:
    pairs = (keys & _EVEN_BYTES) + ((keys >> np.uint64(8)) & _EVEN_BYTES)
    return ((pairs * _ONES) >> np.uint64(48)).sum(axis=0).astype(np.float64)


def _are_keys(keys: Words, first: bytes) -> Any:
    """Require keys that differ from the one before, and from the first in letters and digits alone.

    Every byte that could end a key or name a folder (dot, slash, NUL) is below "0".
    """
    at_least_zero = (((keys & _LOW_BITS) + _FROM_ZERO) | keys) & _HIGH_BITS
    low = np.frombuffer(first.ljust(8 * len(keys), b"0"), np.uint8) < ord("0")
    low_mask = (low * np.uint8(0xFF)).view(np.uint64)[:, None]
    same_low = (at_least_zero == at_least_zero[:, :1]) & (((keys ^ keys[:, :1]) & low_mask) == 0)
    good = same_low.all(axis=0)
    good[1:] &= (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    good[0] &= not (b"." in first or b"\0" in first or first.endswith(b"/"))
    return good


_TIME_RECORD = np.frombuffer(b" mtime=", np.uint8)
_PREFIX = 2 + len(_TIME_RECORD)
_TENS = np.array([10.0, 1.0])
_LONGEST_TIME = 64


def _behind_times(blocks: ByteArray, at: Ints) -> Ints:
    """Return the headers behind PAX headers that hold nothing but a time of modification.

    That is how webdataset's writer stores every sample, its times being fractional.
    """
    files = at[1::2]
    extended = at[0::2][: len(files)]
    if not len(files):
        return files
    rows = _rows(blocks, extended)
    first = rows[0].tobytes()
    if not _is_sound(first):
        return files[:0]
    lengths, good = _check_headers(rows, first, 0, np.zeros(len(rows)))
    good &= (files == extended + 2) & _are_times(_rows(blocks[1:], extended), lengths)
    return files[: leading(good)]


def _are_times(records: ByteArray, lengths: Ints) -> Any:
    """Require records like ``28 mtime=1795167491.1901739`` and a line feed."""
    longest = int(np.clip(lengths.max(), _PREFIX + 1, _LONGEST_TIME))
    text = records[:, :longest]
    good = (lengths > _PREFIX) & (lengths <= longest)
    good &= text[:, :2].astype(np.float64) @ _TENS == lengths + 11 * ord("0")
    good &= all_of(text[:, 2:_PREFIX] == _TIME_RECORD)
    time = text[:, _PREFIX:]
    is_time = (time - np.uint8(ord("0")) < 10) | (time == ord("."))
    # Shorter times are followed by the line feed and whatever fills the block.
    is_time |= np.arange(_PREFIX, longest) >= (lengths - 1)[:, None]
    last = text[np.arange(len(text)), np.clip(lengths - 1, 0, longest - 1)]
    return good & all_of(is_time) & (last == ord("\n"))
