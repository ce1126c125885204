"""Shards that other writers made: the tar formats, and what lies beside the samples."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.shard_files import Member, read_bytes, tar_bytes, write_with_webdataset

from atdata import Dataset, DictSample
from atdata.errors import CorruptDataError, MissingMsgpackError

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
formats = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


def _members(count: int, name: str = "{:04d}.msgpack") -> list[tuple[str, bytes]]:
    return [(name.format(number), sample.packed) for number, sample in enumerate(items(count))]


@pytest.mark.parametrize("batch_size", [None, 1, 7, 100])
def test_shards_of_webdatasets_writer_are_read(tmp_path: Path, batch_size: int | None) -> None:
    path = write_with_webdataset(tmp_path / "a.tar", items(23))
    assert Path(path).stat().st_size % 10_240 == 0
    found: Any = Dataset[Item](path).ordered(batch_size=batch_size)
    samples = list(found) if batch_size is None else [one for batch in found for one in batch]
    assert samples == items(23)


@formats
def test_every_format_of_pythons_tarfile_is_read(form: int) -> None:
    assert read_bytes(tar_bytes(_members(9), form), Item) == items(9)


@formats
@pytest.mark.parametrize("length", [90, 99, 100, 101, 156, 255])
def test_long_names_are_read_in_every_format(form: int, length: int) -> None:
    folders = "d" * 50 + "/"
    name = folders * (length // 51) + "{:04d}" + "k" * (length % 51) + ".msgpack"
    members = _members(3, name)
    try:
        data = tar_bytes(members, form)
    except ValueError:
        pytest.skip("this format has no such names")
    assert read_bytes(data, Item) == items(3)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_a_key_of_a_thousand_bytes_is_named_whole_in_errors(form: int) -> None:
    key = "k" * 1000
    with pytest.raises(MissingMsgpackError) as caught:
        read_bytes(tar_bytes([(f"{key}.json", b"{}")], form), Item)
    assert caught.value.details["key"] == key


@formats
def test_members_beside_the_sample_are_passed_over(form: int) -> None:
    members = [
        member
        for name, packed in _members(5)
        for member in (
            (name.replace("msgpack", "jpg"), b"\xff\xd8" * 400),
            (name, packed),
            (name.replace("msgpack", "json"), b"{}"),
            (name.replace("msgpack", "seg.png"), b""),
        )
    ]
    assert read_bytes(tar_bytes(members, form), Item) == items(5)


def test_keys_in_different_folders_are_different_samples() -> None:
    one, two = items(2)
    members = [("a/0.msgpack", one.packed), ("b/0.msgpack", two.packed)]
    assert read_bytes(tar_bytes(members), Item) == [one, two]


def test_folders_of_their_own_are_passed_over() -> None:
    folder = tarfile.TarInfo("a/")
    folder.type = tarfile.DIRTYPE
    one, two = items(2)
    samples = ("a/0.msgpack", one.packed), ("a/1.msgpack", two.packed)
    members: list[Member | tarfile.TarInfo] = [folder, samples[0], folder, samples[1]]
    assert read_bytes(tar_bytes(members), Item) == [one, two]


def test_a_key_ends_at_the_first_dot_as_in_webdataset() -> None:
    data = tar_bytes([("a.b.msgpack", items(1)[0].packed)])
    with pytest.raises(MissingMsgpackError, match="'a'"):
        read_bytes(data, Item)


def test_dots_in_folders_belong_to_the_key() -> None:
    data = tar_bytes([("v1.0/a.msgpack", items(1)[0].packed)])
    assert read_bytes(data, Item) == items(1)


def test_global_pax_headers_are_passed_over() -> None:
    global_header = tarfile.TarInfo().create_pax_global_header({"comment": "from git archive"})
    data = tar_bytes(_members(3))
    assert read_bytes(global_header + data, Item) == items(3)


def test_samples_of_changing_size_are_read_between_equal_ones() -> None:
    samples = items(40)
    for number in (0, 7, 8, 20, 39):
        samples[number].text = "long " * 300 * (number + 1)
    members = [(f"{n}.msgpack", sample.packed) for n, sample in enumerate(samples)]
    assert read_bytes(tar_bytes(members), Item) == samples


def test_an_untyped_dataset_reads_what_it_finds() -> None:
    found = read_bytes(tar_bytes(_members(2)), DictSample)
    assert [sample.number for sample in found] == [0, 1]


def test_a_sample_that_is_no_map_names_its_key() -> None:
    with pytest.raises(CorruptDataError, match=r"not a map.*'a'"):
        read_bytes(tar_bytes([("a.msgpack", b"\x93\x01\x02\x03")]), Item)
