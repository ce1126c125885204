"""What our writer writes: the same bytes for the same samples, an ordinary tar for all others."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_types import Item, items
from tests.shard_files import finish_shard, shard_bytes, write_shard
from webdataset import tariterators

from atdata import Dataset, PackableSample, packable
from atdata.errors import LimitExceededError
from atdata.shards import ShardWriter

BLOCK = 512


@packable
class Blob(PackableSample):
    data: bytes


def test_the_same_samples_make_the_same_bytes() -> None:
    assert shard_bytes(items(20)) == shard_bytes(items(20))


def test_the_digest_is_that_of_the_file() -> None:
    stream = io.BytesIO()
    digest = finish_shard(stream, items(20))
    data = stream.getvalue()
    assert digest == (20, len(data), hashlib.sha256(data).hexdigest())


@given(st.lists(st.binary(max_size=3 * BLOCK), min_size=1, max_size=8))
def test_blobs_of_any_length_come_back_and_are_counted(blobs: list[bytes]) -> None:
    stream = io.BytesIO()
    digest = finish_shard(stream, map(Blob, blobs))
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        members = [archive.extractfile(member) for member in archive]
        packed = [member.read() for member in members if member is not None]
    assert [Blob.from_bytes(one).data for one in packed] == blobs
    assert (digest.count, digest.bytes) == (len(blobs), len(stream.getvalue()))


def test_pythons_tarfile_sees_plain_files_of_no_one_and_no_time(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", items(3))
    with tarfile.open(path, errorlevel=2) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [f"{n:06d}.msgpack" for n in range(3)]
    assert all(member.isreg() and member.mode == 0o444 for member in members)
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}
    assert {type(member.pax_headers) for member in members} == {dict}
    assert not any(member.pax_headers for member in members)


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar command")
def test_the_tar_command_lists_and_extracts_it(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", items(3))
    command = ["tar", "-xvf", path, "-C", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == [f"{n:06d}.msgpack" for n in range(3)]
    assert Item.from_bytes((tmp_path / "000001.msgpack").read_bytes()) == items(2)[1]


def test_webdataset_reads_it(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", items(5))
    with open(path, "rb") as stream:
        files = tariterators.tar_file_expander([{"url": path, "stream": stream}])
        samples = list(tariterators.group_by_keys(files))
    assert [sample["__key__"] for sample in samples] == [f"{n:06d}" for n in range(5)]
    assert [Item.from_bytes(sample["msgpack"]) for sample in samples] == items(5)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1 << 20])
def test_data_is_padded_to_whole_blocks(size: int) -> None:
    stream = io.BytesIO()
    writer = ShardWriter(stream)
    writer.write("k", bytes(size))
    digest = writer.finish()
    assert digest.bytes == len(stream.getvalue()) == BLOCK * (3 + -(-size // BLOCK))


def test_a_key_that_does_not_fit_a_header_is_refused() -> None:
    writer = ShardWriter(io.BytesIO())
    with pytest.raises(LimitExceededError, match="100 bytes"):
        writer.write("k" * 93, b"\x80")
    writer.write("k" * 92, b"\x80")
    assert writer.finish().count == 1


def test_a_written_shard_reads_back_in_order(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", items(300))
    assert list(Dataset[Item](path)) == items(300)


def test_a_stream_that_takes_a_part_at_a_time_gets_all() -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.taken = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.taken += data[:1000]
            return len(data[:1000])

    stream = Slow()
    finish_shard(stream, items(20))  # type: ignore[arg-type]
    assert bytes(stream.taken) == shard_bytes(items(20))
