"""Members with numbers for names are read alike whether one looks at each or at all at once."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.shard_files import shard_bytes, tar_bytes

from atdata import packable
from atdata.shards import ShardReader
from atdata.shards.members import find_members
from atdata.shards.numbered import Numbered
from atdata.shards.tar import BLOCK

STRIDE = 1024
TIMED_STRIDE = STRIDE + 2 * BLOCK
WINDOW = 32 << 10
COUNT = 120


@packable
class Point:
    """A sample of one block."""

    values: NDArray[np.float32]
    number: int


def _points() -> list[Any]:
    return [Point(np.full(4, number, np.float32), number + 1000) for number in range(COUNT)]


def _with_sum(header: bytes) -> bytes:
    """Give a header the checksum that is right for it."""
    total = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
    return header[:148] + b"%06o" % total + header[154:]


def _members(keys: Iterable[str]) -> list[tuple[str, bytes]]:
    return [(f"{key}.msgpack", point.packed) for key, point in zip(keys, _points(), strict=True)]


def _timed(keys: list[str], times: list[float]) -> bytes:
    """Write points as webdataset does: each behind a PAX header with its fractional time."""
    return tar_bytes(_members(keys), tarfile.PAX_FORMAT, times)


# What stands in a name, a checksum, a size, a time, a type, a prefix, and what stands anywhere.
_PLACES = st.one_of(
    st.integers(0, 20),
    st.integers(148, 153),
    st.integers(124, 160),
    st.integers(257, 264) | st.integers(345, 350) | st.integers(0, 511),
)
_BYTES = st.one_of(
    st.sampled_from(b"0123456789"), st.sampled_from(b":?@Aa./\0 xL\n="), st.integers(0, 255)
)
_CHANGES = st.lists(st.tuples(st.integers(0, COUNT - 1), _PLACES, _BYTES), max_size=3)
_KEYS = st.builds(
    lambda prefix, digits: [f"{prefix}{number:0{digits}d}" for number in range(COUNT)],
    st.sampled_from(["", "s_", "train/", "a1b2-", "é", "./", "v1.0/", "x.msgpack/"]),
    st.sampled_from([3, 6, 9, 14, 15, 24]),
)


def _change(data: bytearray, at: int, byte: int, *, is_sound: bool) -> None:
    data[at] = byte
    if is_sound:
        block = at // BLOCK * BLOCK
        data[block : block + BLOCK] = _with_sum(bytes(data[block : block + BLOCK]))


@settings(max_examples=200, deadline=None)
@given(keys=_KEYS, changes=_CHANGES, is_sound=st.booleans())
def test_a_change_anywhere_is_seen(
    keys: list[str], changes: list[tuple[int, int, int]], is_sound: bool
) -> None:
    data = bytearray(shard_bytes(_points(), keys))
    assert len(data) == COUNT * STRIDE + 1024
    for member, place, byte in changes:
        _change(data, member * STRIDE + place, byte, is_sound=is_sound)
    expected = outcome(one_by_one, bytes(data), Point)
    assert outcome(as_columns, io.BytesIO(bytes(data)), Point, WINDOW) == expected


# In a PAX header, the record behind it, and the header behind that.
_TIMED_CHANGES = st.one_of(
    st.tuples(_PLACES, _BYTES),
    st.tuples(st.integers(BLOCK, BLOCK + 30), st.sampled_from(b"0123456789=\n m")),
    st.tuples(_PLACES.map(lambda place: place + 2 * BLOCK), _BYTES),
)


_MALFORMED = [(BLOCK, ord("0")), (2 * BLOCK + 124, ord("1"))]


@settings(max_examples=300, deadline=None)
@given(
    keys=_KEYS,
    first=st.sampled_from([1.5, 511.25, 1795969123.5, 1795969535.0625, 8e9 + 0.5]),
    step=st.sampled_from([0.0, 1.0, 0.0625, 0.0078125]),
    members=st.lists(st.integers(20, COUNT - 1), min_size=2, max_size=2),
    changes=st.lists(_TIMED_CHANGES, max_size=2),
    is_sound=st.booleans(),
)
# A malformed time in front of a size that leads beyond the end: the first of them is told.
@example(
    keys=[f"{number:03d}" for number in range(COUNT)],
    first=1.5,
    step=0.0,
    members=[20, 20],
    changes=_MALFORMED,
    is_sound=True,
)
def test_a_change_anywhere_is_seen_where_every_member_has_a_time(
    keys: list[str],
    first: float,
    step: float,
    members: list[int],
    changes: list[tuple[int, int]],
    is_sound: bool,
) -> None:
    """Times are of several lengths."""
    data = bytearray(_timed(keys, [first + number * step for number in range(COUNT)]))
    for member, (place, byte) in zip(members, changes, strict=False):
        _change(data, member * TIMED_STRIDE + place, byte, is_sound=is_sound)
    expected = outcome(one_by_one, bytes(data), Point)
    assert outcome(as_columns, io.BytesIO(bytes(data)), Point, WINDOW) == expected


@pytest.mark.parametrize("place", [5, 134, 146, 150, 2 * BLOCK + 5, 2 * BLOCK + 146])
def test_a_digit_that_the_checksum_does_not_know_is_seen(place: int) -> None:
    keys = [f"{number:06d}" for number in range(COUNT)]
    data = bytearray(_timed(keys, [number + 0.5 for number in range(COUNT)]))
    data[100 * TIMED_STRIDE + place] ^= 1
    expected = outcome(one_by_one, bytes(data), Point)
    assert "checksum" in expected[1]
    assert outcome(as_columns, io.BytesIO(bytes(data)), Point, WINDOW) == expected


def test_a_time_may_be_long_but_nothing_is_hidden_behind_a_short_one() -> None:
    keys = [f"{number:06d}" for number in range(COUNT)]
    data = bytearray(_timed(keys, [number + 0.5 for number in range(COUNT)]))
    for member in range(COUNT):
        record = b"80 mtime=%070d\n" % member
        if member >= COUNT // 2:
            record = b"16 mtime=%06d\n" % member + b"64 path=%055d\n" % member
        _extend(data, member * TIMED_STRIDE, record)
    expected = outcome(one_by_one, bytes(data), Point)
    assert "no key and extension" in expected[1]
    assert outcome(as_columns, io.BytesIO(bytes(data)), Point, WINDOW) == expected


def _extend(data: bytearray, at: int, record: bytes) -> None:
    header = data[at : at + BLOCK]
    header[124:135] = b"%011o" % len(record)
    data[at : at + 2 * BLOCK] = _with_sum(bytes(header)) + record.ljust(BLOCK, b"\0")


@pytest.mark.parametrize("twice", [0, 1, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("folder", ["", "d" * 110 + "/"], ids=["short", "with a prefix"])
def test_a_name_that_is_there_twice_is_seen(twice: int, folder: str) -> None:
    """Also where a window ends between the two."""
    numbers = [number - (number > twice) for number in range(COUNT)]
    data = tar_bytes(_members(f"{folder}{number:06d}" for number in numbers))
    expected = outcome(one_by_one, data, Point)
    assert "two .msgpack members" in expected[1]
    assert outcome(as_columns, io.BytesIO(data), Point, WINDOW) == expected


def _looks(data: bytes) -> tuple[int, int]:
    """Count how often members are seen to go on as before, and how often all are looked at."""
    own = mock.patch.object(Numbered, "find", autospec=True, side_effect=Numbered.find)
    any_kind = mock.patch("atdata.shards.reader.find_members", side_effect=find_members)
    with own as find, any_kind as find_any:
        rows = ShardReader(Point, window=WINDOW).read(io.BytesIO(data), "a")
        assert sum(len(part) for part in rows) == COUNT
    return find.call_count, find_any.call_count


@pytest.mark.parametrize("form", ["{:09d}", "train/{:06d}", "a{:03d}b{:011d}"])
def test_only_the_first_window_is_looked_at_member_by_member(form: str) -> None:
    keys = [form.format(number, number) for number in range(COUNT)]
    assert _looks(shard_bytes(_points(), keys)) == (3, 1)


def test_so_it_is_where_every_member_has_a_time() -> None:
    keys = [f"{number:09d}" for number in range(COUNT)]
    times = [1795969123.5 + number / 16 for number in range(COUNT)]
    assert _looks(_timed(keys, times)) == (7, 1)


@pytest.mark.parametrize("form", ["{:032x}", "{:018d}"])
def test_names_of_more_than_numbers_or_of_too_long_ones_are_looked_at(form: str) -> None:
    keys = [form.format(number * 7 + 1) for number in range(COUNT)]
    _, looks = _looks(shard_bytes(_points(), keys))
    assert looks == 4
