"""Tar files made to do harm: a typed error, soon and in little memory, and nothing written."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.peak_memory import forget_peak, peak_megabytes
from tests.sample_types import Item, items
from tests.shard_files import dataset_of, read_bytes, shard_bytes, tar_bytes, tar_member

from atdata import Dataset, URLSource
from atdata.errors import (
    CorruptDataError,
    EmptyDatasetError,
    LimitExceededError,
    MissingMsgpackError,
    TruncatedShardError,
)

BLOCK = 512
END = bytes(2 * BLOCK)


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """Make a header with a right checksum and whatever size field is given."""
    start = name.ljust(100, b"\0") + b"0000444\0" + b"0000000\0" * 2 + size.ljust(12, b"\0")
    end = kind + bytes(100) + b"ustar\x0000" + bytes(247)
    block = start + b"0" * 11 + b"\0" + b" " * 8 + end
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def base_256(value: int) -> bytes:
    return (value % (1 << 96) | 1 << 95).to_bytes(12)


@pytest.fixture(autouse=True)
def _soon_and_small() -> Iterator[None]:
    """Fail a test that takes twenty seconds of work or hundreds of megabytes."""
    forget_peak()
    before, peak = time.process_time(), peak_megabytes()
    yield
    assert time.process_time() - before < 20
    assert peak_megabytes() - peak < 300


@pytest.mark.parametrize("size", [2**62, 2**90, 2**40])
def test_d13_an_enormous_size_is_refused_or_truncated(size: int) -> None:
    with pytest.raises((LimitExceededError, TruncatedShardError), match="the-shard"):
        read_bytes(header(b"a.msgpack", base_256(size)) + END, Item)


def test_d13_the_largest_octal_size_is_believed_only_as_far_as_data_comes() -> None:
    with pytest.raises(TruncatedShardError, match=f"offset {3 * BLOCK}"):
        read_bytes(header(b"a.msgpack", b"77777777777") + END, Item)


@pytest.mark.parametrize("size", [-1, -512, -(2**62)])
def test_d13_a_negative_size_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(header(b"a.msgpack", base_256(size)) + END, Item)


@pytest.mark.parametrize("size", [b"-0000000001", b"00000000009", b"0x10", b"1_0", b"\xff" * 3])
def test_d13_a_size_that_is_no_octal_number_is_corrupt(size: bytes) -> None:
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(header(b"a.msgpack", size) + END, Item)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_d13_a_huge_extended_header_is_refused(kind: bytes) -> None:
    huge = header(b"x", b"07777777777", kind) + b"\0" * (2 << 20)
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(huge + END, Item)


@pytest.mark.parametrize(
    "record",
    [
        b"9999999 path=a\n",
        b"0 path=a\n",
        b"-5 path=a\n",
        b"path=a\n",
        b"11 path=a\n",
        b"15 size=999999\n",
        b"13 size=-100\n",
        b"16 size=0x10\n\n\n\n",
        b"99999999999999999999999999 size=1\n",
        b"\xff\xfe\n",
    ],
)
def test_d13_a_malformed_pax_header_is_an_error(record: bytes) -> None:
    pax = header(b"pax", b"%011o" % len(record), b"x") + record.ljust(BLOCK, b"\0")
    sample = shard_bytes(items(1))
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(pax + sample, Item)


def test_d13_a_pax_size_larger_than_the_data_is_truncated() -> None:
    record = b"18 size=999999999\n"
    pax = header(b"pax", b"%011o" % len(record), b"x") + record.ljust(BLOCK, b"\0")
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(pax + shard_bytes(items(1)), Item)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.FIFOTYPE, "FIFO"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
        (b"Z", "'Z'"),
    ],
)
def test_d13_links_devices_and_the_like_are_errors_that_name_them(
    kind: bytes, name: str, tmp_path: Path
) -> None:
    odd = tar_member("odd.msgpack", kind, link=str(tmp_path / "target"))
    with pytest.raises(CorruptDataError, match=name) as caught:
        read_bytes(tar_bytes([odd]), Item)
    assert "odd.msgpack" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_d13_a_sparse_file_in_pax_headers_is_an_error() -> None:
    record = b"22 GNU.sparse.major=1\n"
    pax = header(b"pax", b"%011o" % len(record), b"x") + record.ljust(BLOCK, b"\0")
    with pytest.raises(CorruptDataError, match="sparse"):
        read_bytes(pax + shard_bytes(items(1)), Item)


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [(b"same.json", b"0", MissingMsgpackError), (b"folder/", b"5", EmptyDatasetError)],
)
def test_d13_a_hundred_thousand_empty_members_are_over_soon(
    name: bytes, kind: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_bytes(header(name, b"0", kind) * 100_000 + END, Item)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_d12_a_gzip_bomb_is_stopped_early(compression: Any, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as out:
        out.write(header(b"a.msgpack", b"%011o" % (160 << 20)))
        for _ in range(160):
            out.write(bytes(1 << 20))
    assert bomb.stat().st_size < 2 << 20
    with pytest.raises(LimitExceededError, match=r"bomb\.tar\.gz expands"):
        list(Dataset[Item](URLSource(str(bomb), compression=compression)))


def test_d14_two_members_of_one_key_beside_each_other_are_an_error() -> None:
    packed = items(1)[0].packed
    with pytest.raises(CorruptDataError, match=r"two \.msgpack members.*'k'"):
        read_bytes(tar_bytes([("k.msgpack", packed), ("k.msgpack", packed)]), Item)


def test_d14_two_samples_of_one_key_apart_are_both_read() -> None:
    one, two = items(2)
    members = [("k.msgpack", one.packed), ("other.msgpack", two.packed), ("k.msgpack", one.packed)]
    assert read_bytes(tar_bytes(members), Item) == [one, two, one]


@pytest.mark.parametrize("name", ["k", ".msgpack", "folder/", "folder/.msgpack", "."])
def test_d14_a_file_without_key_and_extension_is_an_error(name: str) -> None:
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(tar_bytes([(name, items(1)[0].packed)]), Item)


@pytest.mark.parametrize(
    "name",
    [
        "k.MSGPACK",
        "../../k.msgpack",
        "/abs/k.msgpack",
        "__x__.msgpack",
        "a/b/c.msgpack",
        "./k.msgpack",
        "with space.msgpack",
        "ключ.msgpack",
    ],
)
def test_d14_odd_names_are_keys_and_never_paths(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = items(1)[0]
    assert read_bytes(tar_bytes([(name, sample.packed)]), Item) == [sample]
    assert list(tmp_path.iterdir()) == []


def test_a_sample_without_msgpack_member_names_shard_and_key() -> None:
    data = tar_bytes([("0001.json", b"{}"), ("0001.jpg", b"...")])
    with pytest.raises(MissingMsgpackError, match=r"'msgpack'.*'0001'.*the-shard") as caught:
        read_bytes(data, Item)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, KeyError)
    assert (caught.value.details["shard"], caught.value.details["key"]) == ("the-shard", "0001")


def test_a_stream_of_zeros_without_end_is_not_read_into_memory() -> None:
    class Zeros(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.left = (1 << 28) - len(data)
            self.start = data

        def read(self, size: int = -1) -> bytes:
            if self.start:
                given, self.start = self.start, b""
                return given
            given = bytes(min(size, self.left, 1 << 22))
            self.left -= len(given)
            return given

    class Source(Zeros):
        readinto = None  # type: ignore[assignment]

    assert list(dataset_of(shard_bytes(items(2)), Item, Source)) == items(2)


def test_a_long_extended_header_takes_no_longer_for_each_of_its_lines() -> None:
    data = b"6 a=b\n" * ((1 << 20) // 6)
    extended = header(b"pax", b"%011o\0" % len(data), b"x") + data + bytes(-len(data) % BLOCK)
    started = time.process_time()
    assert read_bytes(extended + shard_bytes(items(1)), Item) == items(1)
    assert time.process_time() - started < 5
