"""Compressions that shards may have: how their files begin and end, and what undoes them.

Gzip is read; of the others the name is known, so that none of them is passed over in silence.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Compression(NamedTuple):
    """A compression, how its data begins, the endings of its files, and the command against it."""

    name: str
    magic: tuple[bytes, ...]
    endings: tuple[str, ...]
    command: str


GZIP = Compression("gzip", (b"\x1f\x8b",), ("gz",), "gunzip")
OTHERS = (
    Compression("zstd", (b"\x28\xb5\x2f\xfd",), ("zst", "zstd"), "unzstd"),
    Compression("xz", (b"\xfd7zXZ",), ("xz",), "unxz"),
    Compression("bzip2", (b"BZh",), ("bz2", "bz"), "bunzip2"),
    Compression("lz4", (b"\x04\x22\x4d\x18",), ("lz4",), "unlz4"),
    Compression("lzma", (), ("lzma",), "unlzma"),
    Compression("brotli", (), ("br",), "brotli -d"),
    Compression("zip", (b"PK\x03\x04",), ("zip",), "unzip"),
)

_SHARD = re.compile(r"(.*)\.(?:tar|tar\.gz|tgz)", re.IGNORECASE | re.DOTALL)
_ENDING = re.compile(r"\.(?:tar\.|t)(\w+)$")


def stem(name: str) -> str | None:
    """Return the name of a shard's file without its ending; None if it is not one that is read."""
    match = _SHARD.fullmatch(name)
    return match and match[1]


def other_compression(name: str) -> Compression | None:
    """Return the compression that the name of a file tells, None if it is read or none is told."""
    match = _ENDING.search(name.lower())
    return next((one for one in OTHERS if match and match[1] in one.endings), None)
