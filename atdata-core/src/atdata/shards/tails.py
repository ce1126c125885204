"""Finding texts, bytes and arrays in the tails of many samples at once, of whatever length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from atdata.samples.headers import str_bytes
from atdata.shards.template import Ints, all_of

# msgpack's str and bin of 8, 16 and 32 bits: type byte, and how many bytes of length follow.
_TEXTS = ((0xD9, 1), (0xDA, 2), (0xDB, 4))
_BYTES = ((0xC4, 1), (0xC5, 2), (0xC6, 4))


class Located(NamedTuple):
    """A value that can be found without unpacking: its name, and what makes it, None for text."""

    name: str
    make: Callable[[memoryview], Any] | None


def locate(
    buffer: np.ndarray[Any, np.dtype[np.uint8]], starts: Ints, ends: Ints, wanted: Sequence[Located]
) -> tuple[list[tuple[Ints, Ints]], Any]:
    """Find values under their names, in order, in the bytes from each start to its end.

    Returns begin and end of the values of each name in the buffer, and which rows have just these
    names and values and nothing else.
    """
    places: list[tuple[Ints, Ints]] = []
    good = np.ones(len(starts), np.bool_)
    at = starts
    for name, make in wanted:
        key = np.frombuffer(str_bytes(name), np.uint8)
        good &= all_of(_gather(buffer, at, len(key)) == key)
        heads = _gather(buffer, at + len(key), 5)
        begins, lengths, fits = _headers(heads, at + len(key), is_text=make is None)
        at = begins + lengths
        good &= fits & (at <= ends)
        places.append((begins, at))
    return places, good & (at == ends)


def read_located(data: memoryview, value: Located, begins: Ints, ends: Ints) -> Any:
    """Make the values that were found under a name, as a column of objects.

    ``UnicodeDecodeError`` if a text is none; other errors are those of ``value.make``.
    """
    spans = zip(begins.tolist(), ends.tolist(), strict=True)
    make = value.make
    if make is None:
        return np.array([str(data[a:b], "utf-8") for a, b in spans], object)
    return np.fromiter((make(data[a:b]) for a, b in spans), object, len(begins))


def _gather(buffer: np.ndarray[Any, np.dtype[np.uint8]], at: Ints, count: int) -> Any:
    # What lies outside belongs to a row that is wrong anyway.
    return buffer.take(at[:, None] + np.arange(count), mode="clip")


def _headers(heads: Any, at: Ints, *, is_text: bool) -> tuple[Ints, Ints, Any]:
    """Read msgpack headers: where the value begins, its bytes, and if it is of the kind."""
    codes = heads[:, 0]
    fits = ((codes & 0xE0) == 0xA0) & is_text
    lengths = (codes & 0x1F).astype(np.int64)
    begins = at + 1
    for code, width in _TEXTS if is_text else _BYTES:
        here = codes == code
        if here.any():
            length = heads[:, 1 : 1 + width].astype(np.int64) @ (
                256 ** np.arange(width - 1, -1, -1)
            )
            lengths = np.where(here, length, lengths)
            begins = np.where(here, at + 1 + width, begins)
            fits |= here
    return begins, lengths, fits
