"""Tar headers as shards use them: ustar written; ustar, v7, GNU and PAX read (POSIX.1-1988, -2001).

A header is 512 bytes; the data behind it is padded to a multiple of that. Two zero blocks end an
archive.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from atdata.errors import CorruptDataError

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_NAME = 100
MAX_SIZE = 8**11 - 1

# Where fields of a header are: the digits of the checksum, the kind, and a prefix of the name.
CHECKSUM = slice(148, 154)
KIND = 156
PREFIX = 345

REGULAR = frozenset(b"0\0007")
DIRECTORY = ord("5")
VOLUME_LABEL = ord("V")
PAX = ord("x")
PAX_GLOBAL = ord("g")
GNU_LONG_NAME = ord("L")
GNU_LONG_LINK = ord("K")

_KINDS = {
    ord("1"): "hard link",
    ord("2"): "symbolic link",
    ord("3"): "character device",
    ord("4"): "block device",
    ord("6"): "FIFO",
    ord("S"): "sparse file",
}


class Header(NamedTuple):
    """What one header says about the data behind it."""

    name: bytes
    size: int
    kind: int


def parse_header(block: bytes) -> Header:
    """Read a header of 512 bytes; ``CorruptDataError`` if its checksum or a number is wrong."""
    stored = _octal(block[148:156])
    size = _octal(block[124:136]) if block[124] < 0x80 else _base_256(block[124:136])
    if not _is_sum(block, stored):
        raise CorruptDataError("a tar header has a wrong checksum")
    if size < 0:
        raise CorruptDataError("a tar header claims a negative size")
    name = block[:100].partition(b"\0")[0]
    if block[PREFIX] and block[257:263] == b"ustar\0":
        name = block[PREFIX:500].partition(b"\0")[0] + b"/" + name
    return Header(name, size, block[KIND])


def padded(size: int) -> int:
    """Return the size of some data with its padding."""
    return -(-size // BLOCK) * BLOCK


def kind_name(kind: int) -> str:
    """Name the kind of a member that no shard should have."""
    return _KINDS.get(kind, f"member of type {chr(kind)!r}")


def format_header(name: bytes, size: int) -> bytes:
    """Write the header of a regular file; nothing but name and size ever differs.

    The modification time is 0, so that equal samples make equal shards.
    """
    digits = b"%011o" % size
    checksum = _FIXED_SUM + sum(name) + sum(digits)
    return b"".join((name.ljust(100, b"\0"), _OWNER, digits, _TIME, b"%06o" % checksum, _REST))


_OWNER = b"0000444\0" + b"0000000\0" * 2
_TIME = b"\0" + b"00000000000\0"
_REST = b"\0 0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
# The checksum counts its own field as eight spaces, of which _REST holds only the last.
_FIXED_SUM = sum(_OWNER) + sum(_TIME) + sum(_REST) - ord(" ") + 8 * ord(" ")


def _is_sum(block: bytes, stored: int) -> bool:
    # The low half of an Adler-32 is the sum of the bytes, plus 1, modulo 65521: the C loop that
    # Python's sum() is not. A sum is below 2 * 65521, so the modulus hides no single-bit flip.
    total = (zlib.adler32(block) & 0xFFFF) - 1 - sum(block[148:156]) + 8 * ord(" ")
    return (total - stored) % 65521 == 0


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise CorruptDataError("a tar header holds something other than a number") from None


def _base_256(field: bytes) -> int:
    if field[0] & 0x40:
        raise CorruptDataError("a tar header claims a negative size")
    return int.from_bytes(bytes((field[0] & 0x3F,)) + field[1:], "big")
