"""Large samples of a local file: their values are read straight into columns, copied only once.

What is left of a member without its large values is its outline: header, structure, small values
and tail. The outlines of many members are read first and compared as small samples are; each large
value is read when its place in a batch or column is known.
"""

from __future__ import annotations

from collections.abc import MutableSet
from typing import Any, NamedTuple

import numpy as np

from atdata.errors import CorruptDataError
from atdata.shards import tar
from atdata.shards.columns import Columns, Places, numbers
from atdata.shards.layout import Layout, Placed
from atdata.shards.local import LocalFile, Read, read_all
from atdata.shards.members import Members, check_files
from atdata.shards.runs import Kept, Matched, Run, match_run
from atdata.shards.tar import BLOCK
from atdata.shards.template import leading
from atdata.shards.window import aligned

# From here on a call to the system costs less than a second copy.
LARGE = 32 << 10
# Outlines of so many bytes of samples are read at a time: few at first, so that the first batch
# comes soon, then twice as many each time; and never more bytes of outlines than the last.
_FIRST_SERIES = 16 << 20
_LAST_SERIES = 128 << 20
_OUTLINES = 4 << 20
# Fewer are left to the window, which has read them already.
_FEWEST = 4
# Processes commonly may have 1024 files open.
_MOST_FILES = 64


class Place(NamedTuple):
    """An offset of a shard that is a local file."""

    file: LocalFile
    at: int


class _Kept(NamedTuple):
    """A part of a member that belongs to its outline: where it lies in each, and its size."""

    start: int
    place: int
    size: int


class LargeReader:
    """Finds series of members that are as large as the first and of one layout.

    It is made for a layout with large values, which later shards of the same samples have too.
    """

    def __init__(self, layout: Layout) -> None:
        self._large = tuple(p for p in layout.placed if (p.kind.width or 0) >= LARGE)
        self._cut = sum(p.kind.width or 0 for p in self._large)
        self._layout = layout.without(self._large)
        self._series = _FIRST_SERIES

    @property
    def is_useful(self) -> bool:
        """Whether the layout has any large values."""
        return bool(self._large)

    def find(self, place: Place, previous_key: bytes | None) -> LargeRun | None:
        """Find the series that begins at a place; None if it is not worth its while."""
        file, at = place
        if file.size - at < BLOCK:
            return None
        header = bytearray(BLOCK)
        file.read(at, [header])
        try:
            stride = BLOCK + tar.padded(tar.parse_header(bytes(header)).size)
        except CorruptDataError:
            return None
        if stride - BLOCK < self._layout.length + self._cut:
            return None
        most = max(_FEWEST, min(self._series // stride, _OUTLINES // (stride - self._cut)))
        count = min(most, (file.size - at) // stride)
        if count < _FEWEST:
            return None
        outlines = self._read_outlines(place, stride, count)
        self._series = min(2 * self._series, _LAST_SERIES)
        file.expect(at + count * stride, self._series)
        return self._match(outlines, place, stride, previous_key)

    def _read_outlines(self, place: Place, stride: int, count: int) -> Any:
        """Read the outlines of members at equal distances, as rows of whole blocks."""
        file, at = place
        width = tar.padded(stride - self._cut)
        outlines = aligned(count * width)
        data = outlines.data
        head, *inner, tail = self._kept(stride)
        # Behind a tail the next head lies: in the file always, here where rows have no padding.
        ends = [(tail.place, tail.place + tail.size), (width, width + head.size)]
        if ends[0][1] == width:
            ends = [(tail.place, width + head.size)]
        file.read(at, [data[: head.size]])
        for row in range(0, count * width, width):
            for start, begin, size in inner:
                file.read(at + start, [data[row + begin : row + begin + size]])
            file.read(at + tail.start, [data[row + begin : row + end] for begin, end in ends])
            at += stride
        return outlines.reshape(count, width)

    def _kept(self, stride: int) -> list[_Kept]:
        parts, start, place = [], 0, 0
        for _, kind, offset in self._large:
            stop = BLOCK + offset
            parts.append(_Kept(start, place, stop - start))
            place += stop - start
            start = stop + (kind.width or 0)
        return [*parts, _Kept(start, place, stride - start)]

    def _match(
        self, outlines: Any, place: Place, stride: int, previous_key: bytes | None
    ) -> LargeRun | None:
        count, width = outlines.shape
        at = np.arange(count) * (width // BLOCK)
        sizes, good = check_files(outlines.reshape(-1, BLOCK), at, previous_key)
        good &= -(-sizes // BLOCK) * BLOCK + BLOCK == stride
        count = leading(good)
        headers = at[:count] * BLOCK
        members = Members(headers, headers + BLOCK, sizes[:count] - self._cut)
        matched = match_run(self._layout, outlines.reshape(-1), members) if count else None
        if matched is None or len(matched.rows) < _FEWEST:
            return None
        return LargeRun(matched, place, stride, self._large)


class LargeRun(Run):
    """Samples of one layout and size, of which only the outlines are in memory."""

    def __init__(
        self, matched: Matched, place: Place, stride: int, large: tuple[Placed, ...]
    ) -> None:
        super().__init__(matched, place.file.shard)
        self._place = place
        self._stride = stride
        self._large = large

    @property
    def size(self) -> int:
        """The bytes of the members."""
        return len(self) * self._stride

    @property
    def last_key(self) -> bytes:
        """The key of the last sample."""
        return self._members.key(self._buffer, len(self) - 1)

    def fill(self, target: Columns, places: Places, start: int, stop: int) -> None:
        """Copy small values, and read each large one to its place."""
        read_all(self.begin_fill(target, places, slice(start, stop)))

    def begin_fill(self, target: Columns, places: Places, rows: Places) -> list[Read]:
        """Copy small values, and return where the large ones are to be read from and to."""
        super().begin_fill(target, places, rows)
        # Slices of bytes are made faster than rows of arrays.
        large = [
            (offset, kind.width or 0, target.raw[name].data.cast("B"))
            for name, kind, offset in self._large
        ]
        sources, slots = numbers(rows, len(self)), numbers(places, len(target))
        return self._place.file.reads(
            (self._sample_at(row) + offset, values[slot * width : (slot + 1) * width])
            for row, slot in zip(sources, slots, strict=True)
            for offset, width, values in large
        )

    def keep(self, row: int, files: MutableSet[LocalFile]) -> Kept:
        """Leave a row in its file, unless too many are open."""
        file = self._place.file
        if file not in files:
            if len(files) >= _MOST_FILES:
                return super().keep(row, files)
            file.keep_open()
            files.add(file)
        return self, row

    def _payload(self, row: int) -> bytes:
        header = self._members.headers[row]
        size = tar.parse_header(self._buffer[header : header + BLOCK].tobytes()).size
        payload = bytearray(size)
        self._place.file.read(self._sample_at(row), [payload])
        return bytes(payload)

    def _sample_at(self, row: int) -> int:
        return self._place.at + row * self._stride + BLOCK
