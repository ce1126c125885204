"""Finding the texts in the tails of many samples at once, wherever each begins and ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from atdata.samples.headers import str_bytes
from atdata.shards.template import Ints, all_of

# msgpack's str 8, 16 and 32: type byte, and how many bytes of length follow.
_SIZED = ((0xD9, 1), (0xDA, 2), (0xDB, 4))


def locate_texts(
    buffer: np.ndarray[Any, np.dtype[np.uint8]], starts: Ints, ends: Ints, names: tuple[str, ...]
) -> tuple[list[tuple[Ints, Ints]], Any]:
    """Find a text under each name, in order, in the bytes from each start to its end.

    Returns begin and end of each name's texts in the buffer, and which rows have just these names
    and texts and nothing else.
    """
    places: list[tuple[Ints, Ints]] = []
    good = np.ones(len(starts), np.bool_)
    at = starts
    for name in names:
        key = np.frombuffer(str_bytes(name), np.uint8)
        good &= all_of(_gather(buffer, at, len(key)) == key)
        begins, lengths, is_text = _text_headers(_gather(buffer, at + len(key), 5), at + len(key))
        at = begins + lengths
        good &= is_text & (at <= ends)
        places.append((begins, at))
    return places, good & (at == ends)


def _gather(buffer: np.ndarray[Any, np.dtype[np.uint8]], at: Ints, count: int) -> Any:
    # What lies outside belongs to a row that is wrong anyway.
    return buffer.take(at[:, None] + np.arange(count), mode="clip")


def _text_headers(heads: Any, at: Ints) -> tuple[Ints, Ints, Any]:
    """Read msgpack string headers: where the text begins, its bytes, and if it is a string."""
    codes = heads[:, 0]
    is_text = (codes & 0xE0) == 0xA0
    lengths = (codes & 0x1F).astype(np.int64)
    begins = at + 1
    for code, width in _SIZED:
        here = codes == code
        if here.any():
            length = heads[:, 1 : 1 + width].astype(np.int64) @ (
                256 ** np.arange(width - 1, -1, -1)
            )
            lengths = np.where(here, length, lengths)
            begins = np.where(here, at + 1 + width, begins)
            is_text |= here
    return begins, lengths, is_text
