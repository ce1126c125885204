"""What other tools leave in archives is passed over and counted; nothing else is."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.sample_types import Item, items
from tests.shard_files import read_bytes, tar_bytes, tar_member

from atdata.errors import CorruptDataError, EmptyDatasetError
from atdata.shards import ShardReader

APPLE_DOUBLE = b"\0\5\x16\7" + bytes(159)
Members = list[tuple[str, bytes] | tarfile.TarInfo]


def _members(count: int, folder: str = "") -> list[tuple[str, bytes]]:
    return [(f"{folder}{n:06d}.msgpack", sample.packed) for n, sample in enumerate(items(count))]


def _skipped(data: bytes) -> int:
    reader = ShardReader(Item)
    for _ in reader.read(io.BytesIO(data), "the-shard"):
        pass
    return reader.skipped


JUNK = [
    ("._000000.msgpack", APPLE_DOUBLE),
    ("a/._b.jpg", APPLE_DOUBLE),
    ("__MACOSX/._000001.msgpack", APPLE_DOUBLE),
    ("._.", APPLE_DOUBLE),
    (".DS_Store", b"\0\0\0\1Bud1"),
    ("a/.DS_Store", b""),
    ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
    ("desktop.ini", b"[.ShellClassInfo]"),
    ("README", b"about"),
    ("readme.md", b"about"),
    ("LICENSE", b"MIT"),
    ("data/LICENSE.txt", b"MIT"),
    tar_member("./", tarfile.DIRTYPE),
    tar_member("__MACOSX", tarfile.DIRTYPE),
    tar_member("backup", b"V"),
]


def name_of(junk: Any) -> str:
    name: str = junk[0] if isinstance(junk, tuple) else junk.name
    return name


@pytest.mark.parametrize("junk", JUNK, ids=name_of)
@pytest.mark.parametrize("at", [0, 1, 4])
def test_junk_is_passed_over_and_counted(junk: Any, at: int) -> None:
    members: Members = [*_members(4)]
    members.insert(at, junk)
    data = tar_bytes(members)
    assert read_bytes(data, Item) == items(4)
    assert _skipped(data) == 1


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_of_macos_is_read(form: int) -> None:
    """One AppleDouble member before each, with its folder, and times of fractions."""
    members: Members = [tar_member("./", tarfile.DIRTYPE)]
    for name, packed in _members(30):
        members += [(f"./._{name}", APPLE_DOUBLE), (f"./{name}", packed)]
    data = tar_bytes(members, form, (0.5 + n for n in range(100)))
    assert read_bytes(data, Item) == items(30)
    assert _skipped(data) == 31


def test_junk_between_the_members_of_a_sample_does_not_part_them() -> None:
    members = [
        ("0.json", b"{}"),
        ("._0.msgpack", APPLE_DOUBLE),
        ("0.msgpack", items(1)[0].packed),
        (".DS_Store", b""),
        ("0.jpg", b""),
    ]
    assert read_bytes(tar_bytes(members), Item) == items(1)


def test_a_long_name_of_junk_is_not_that_of_the_next_member() -> None:
    long = "d" * 120 + "/"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        members: Members = [
            (f"{long}._x", APPLE_DOUBLE),
            tar_member(long, tarfile.DIRTYPE),
            *_members(2),
        ]
        data = tar_bytes(members, form)
        assert read_bytes(data, Item) == items(2)


@pytest.mark.parametrize(
    "name", ["k", ".hidden", ".msgpack", "_x", ".gitignore", "readme.msg", "notes", "a/Thumbs"]
)
def test_whatever_else_is_not_a_sample_stays_an_error(name: str) -> None:
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(tar_bytes([*_members(2), (name, b"..."), *_members(2, "more/")]), Item)


def test_an_archive_of_nothing_but_junk_holds_no_samples() -> None:
    with pytest.raises(EmptyDatasetError, match="no samples"):
        read_bytes(tar_bytes([(".DS_Store", b""), ("README", b"")]), Item)


_ODD = st.sampled_from(
    [*JUNK, ("k", b""), ("0.json", b"{}"), ("._", b""), ("v1.0/a.msgpack", items(1)[0].packed)]
)


@settings(max_examples=150, deadline=None)
@given(
    folder=st.sampled_from(["", "./", "a/", "./a.b/", "x.msgpack/"]),
    odd=st.lists(st.tuples(st.integers(0, 60), _ODD), max_size=4),
    form=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    time=st.sampled_from([0, 1.5]),
)
def test_both_ways_of_reading_pass_over_the_same(
    folder: str, odd: list[tuple[int, Any]], form: int, time: float
) -> None:
    members: Members = [*_members(60, folder)]
    for at, junk in odd:
        members.insert(at, junk)
    if form == tarfile.USTAR_FORMAT:
        time = 0
    data = tar_bytes(members, form, [time] * len(members))
    expected = outcome(one_by_one, data, Item)
    assert outcome(as_columns, io.BytesIO(data), Item, 32 << 10) == expected


@pytest.mark.parametrize("folder", ["./", "v1.0/", "./x.msgpack/"])
def test_members_in_folders_with_dots_are_found_many_at_once(folder: str) -> None:
    data = tar_bytes(_members(40, folder))
    rows = list(ShardReader(Item).read(io.BytesIO(data), "the-shard"))
    assert max(map(len, rows)) > 4
