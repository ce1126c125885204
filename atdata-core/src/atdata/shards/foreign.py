"""What a file that is not a tar archive looks like, and what to do about it."""

from __future__ import annotations

import re

from atdata.shards.compressions import GZIP, OTHERS
from atdata.shards.tar import BLOCK

_ANSWER = "check the URL, and whether it needs a login"
_ONLY_TARS = "only tar archives of samples are read"
# How files begin that are found in the place of shards, what they are, and what helps.
_KINDS = (
    (rb"version https://git-lfs\.github\.com", "a Git LFS pointer", "run git lfs pull"),
    (rb"<(!doctype )?html", "an HTML page", _ANSWER),
    (rb"<", "an XML document", _ANSWER),
    (rb"[{\[]", "a JSON document", _ANSWER),
    (rb"PAR1", "a Parquet file", _ONLY_TARS),
    (rb"\x93NUMPY", "an npy file", _ONLY_TARS),
    (rb"\x89PNG|\xff\xd8\xff", "an image", _ONLY_TARS),
)
_PATTERNS = [(re.compile(sign, re.IGNORECASE), kind, remedy) for sign, kind, remedy in _KINDS]
_BLANK = b"\xef\xbb\xbf \t\r\n"
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")

_MAGIC = slice(257, 262)
# Modes, owner, size, time and checksum of a header, as digits; a high bit begins other numbers.
_NUMBERS = slice(100, 156)
_DIGITS = frozenset(b"01234567 \0")
_OTHER_NUMBER = 0x80
_NAME = slice(0, 100)
# No header is without a NUL up to here, after the name and mode.
_FIRST_NUL = 108


def why_not_tar(start: bytes) -> str | None:
    """Say what a file is that begins so; None if it may be a tar archive, damaged or cut off.

    ``start`` is the first block of the file, or all of it if it is shorter.
    """
    if start[_MAGIC] == b"ustar":
        return None
    if start.startswith(GZIP.magic):
        return f"is compressed with gzip more than once; decompress it with {GZIP.command}"
    for one in OTHERS:
        if start.startswith(one.magic):
            return (
                f"is {one.name}-compressed, and only plain and gzip-compressed tar archives are "
                f"read; decompress it with {one.command}"
            )
    return None if _may_begin_tar(start) else f"is not a tar archive{_likeness(start)}"


def _likeness(start: bytes) -> str:
    text = start.lstrip(_BLANK)
    for sign, kind, remedy in _PATTERNS:
        if sign.match(text):
            return f": it looks like {kind}; {remedy}"
    is_text = not _CONTROL & frozenset(start)
    return f"{': it looks like text' if is_text else ''}; {_ONLY_TARS}"


def _may_begin_tar(start: bytes) -> bool:
    if len(start) >= BLOCK:
        return False
    if b"\0" not in start:
        is_known = any(sign.match(start.lstrip(_BLANK)) for sign, *_ in _PATTERNS)
        return len(start) < _FIRST_NUL and b"\n" not in start and not is_known
    padding = start[_NAME].partition(b"\0")[2]
    numbers = frozenset(start[_NUMBERS])
    return not padding.strip(b"\0") and all(
        byte in _DIGITS or byte >= _OTHER_NUMBER for byte in numbers
    )
