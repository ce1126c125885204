"""The msgpack headers that samples are built from (https://msgpack.org, specification v5).

Numbers, bytes and arrays always take their widest form, so that equal shapes give equal structure;
strings, lists and maps take the shortest, as any other writer would.
"""

from __future__ import annotations

import struct

_INT = struct.Struct(">Bq").pack
_UINT = struct.Struct(">BQ").pack
_FLOAT = struct.Struct(">Bd").pack
_WITH_16_BITS = struct.Struct(">BH").pack
_WITH_32_BITS = struct.Struct(">BI").pack

NIL = b"\xc0"
FALSE = b"\xc2"
TRUE = b"\xc3"
MAX_LENGTH = 2**32 - 1


def int_bytes(value: int) -> bytes:
    """Pack an integer in 64 bits; ``struct.error`` if it needs more."""
    return _INT(0xD3, value) if value < 2**63 else _UINT(0xCF, value)


def float_bytes(value: float) -> bytes:
    """Pack a float in 64 bits."""
    return _FLOAT(0xCB, value)


def bin_header(length: int) -> bytes:
    """Announce that many raw bytes, with a 32-bit length."""
    return _WITH_32_BITS(0xC6, length)


def str_bytes(text: str) -> bytes:
    """Pack a string with the shortest header."""
    data = text.encode()
    length = len(data)
    if length < 32:
        return bytes((0xA0 | length,)) + data
    if length < 256:
        return bytes((0xD9, length)) + data
    return _sized(length, 0xDA) + data


def array_header(length: int) -> bytes:
    """Announce a list of that many items."""
    return bytes((0x90 | length,)) if length < 16 else _sized(length, 0xDC)


def map_header(length: int) -> bytes:
    """Announce a map of that many pairs."""
    return bytes((0x80 | length,)) if length < 16 else _sized(length, 0xDE)


def map_length(data: bytes) -> int | None:
    """Read how many pairs packed bytes announce, or None if they do not begin with a map."""
    kind = data[0] if data else 0
    if 0x80 <= kind <= 0x8F:
        return kind & 0x0F
    if kind in (0xDE, 0xDF):
        return int.from_bytes(data[1 : 3 if kind == 0xDE else 5], "big")
    return None


def _sized(length: int, code: int) -> bytes:
    return _WITH_16_BITS(code, length) if length < 2**16 else _WITH_32_BITS(code + 1, length)
