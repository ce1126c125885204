"""Members with numbers for names are read alike whether one looks at each or at all at once."""

from __future__ import annotations

import io
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.shard_files import shard_bytes

from atdata import packable
from atdata.shards import ShardReader
from atdata.shards.numbered import Numbered

STRIDE = 1024
WINDOW = 32 << 10
COUNT = 120


@packable
class Point:
    """A sample of one block."""

    values: NDArray[np.float32]
    number: int


def _points() -> list[Point]:
    return [Point(np.full(4, number, np.float32), number + 1000) for number in range(COUNT)]


def _with_sum(header: bytes) -> bytes:
    """Give a header the checksum that is right for it."""
    total = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
    return header[:148] + b"%06o" % total + header[154:]


# What stands in a name, a checksum, a size, a time, a type, a prefix, and what stands anywhere.
_PLACES = st.one_of(
    st.integers(0, 20),
    st.integers(148, 153),
    st.integers(124, 160),
    st.integers(257, 264) | st.integers(345, 350) | st.integers(0, 511),
)
_BYTES = st.one_of(
    st.sampled_from(b"0123456789"), st.sampled_from(b":?@Aa./\0 xL"), st.integers(0, 255)
)


@settings(max_examples=200, deadline=None)
@given(
    digits=st.integers(3, 24),
    prefix=st.sampled_from(["", "s_", "train/", "a1b2-", "é"]),
    changes=st.lists(st.tuples(st.integers(0, COUNT - 1), _PLACES, _BYTES), max_size=3),
    is_sound=st.booleans(),
)
def test_a_change_anywhere_is_seen(
    digits: int, prefix: str, changes: list[tuple[int, int, int]], is_sound: bool
) -> None:
    keys = [f"{prefix}{number:0{digits}d}" for number in range(COUNT)]
    data = bytearray(shard_bytes(_points(), keys))
    assert len(data) == COUNT * STRIDE + 1024
    for member, place, byte in changes:
        at = member * STRIDE
        data[at + place] = byte
        if is_sound:
            data[at : at + 512] = _with_sum(bytes(data[at : at + 512]))
    expected = outcome(one_by_one, bytes(data), Point)
    assert outcome(as_columns, io.BytesIO(bytes(data)), Point, WINDOW) == expected


@pytest.mark.parametrize("twice", [0, 1, 31, 32, 33, 64, 100])
def test_a_name_that_is_there_twice_is_seen(twice: int) -> None:
    """Also where a window ends between the two."""
    numbers = [number - (number > twice) for number in range(COUNT)]
    data = shard_bytes(_points(), [f"{number:06d}" for number in numbers])
    expected = outcome(one_by_one, data, Point)
    assert "two .msgpack members" in expected[1]
    assert outcome(as_columns, io.BytesIO(data), Point, WINDOW) == expected


@pytest.mark.parametrize(
    ("keys", "are_numbered"),
    [
        ([f"{number:09d}" for number in range(COUNT)], True),
        ([f"train/{number:06d}" for number in range(COUNT)], True),
        ([f"{number:032x}" for number in range(COUNT)], False),
    ],
)
def test_windows_behind_the_first_are_looked_at_as_a_whole(
    keys: list[str], are_numbered: bool
) -> None:
    stream = io.BytesIO(shard_bytes(_points(), keys))
    with mock.patch.object(Numbered, "find", autospec=True, side_effect=Numbered.find) as find:
        rows = ShardReader(Point, window=WINDOW).read(stream, "a")
        assert sum(len(part) for part in rows) == COUNT
    assert (find.call_count >= COUNT * STRIDE // WINDOW - 1) == are_numbered
