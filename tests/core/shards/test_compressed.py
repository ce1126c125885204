"""Shards that are compressed: read through gzip wherever they come from, others refused by name."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.shard_files import (
    BytesSource,
    RandomReads,
    ReadOnly,
    SingleBytes,
    dataset_of,
    read_bytes,
    shard_bytes,
)

from atdata import Dataset, URLSource
from atdata.errors import CorruptDataError, TruncatedShardError
from atdata.shards import ShardReader

SAMPLES = items(50)
SHARD = shard_bytes(SAMPLES)
PACKED = gzip.compress(SHARD, mtime=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a.tar"
    file.write_bytes(PACKED)
    return file


def test_a_gzip_shard_is_read_whatever_its_name(file: Path) -> None:
    assert list(Dataset[Item](file)) == SAMPLES


def test_a_gzip_shard_is_read_when_compression_is_given(file: Path) -> None:
    assert list(Dataset[Item](URLSource(file, compression="gzip"))) == SAMPLES


def test_a_gzip_shard_is_read_in_batches_and_shuffled(file: Path) -> None:
    batches = list(Dataset[Item](file).ordered(batch_size=20))
    assert [len(batch) for batch in batches] == [20, 20, 10]
    numbers = [sample.number for sample in Dataset[Item](file).shuffled(seed=1)]
    assert sorted(numbers) == [sample.number for sample in SAMPLES]


@pytest.mark.parametrize("stream", [io.BytesIO, ReadOnly, SingleBytes, RandomReads])
def test_a_gzip_shard_is_read_from_any_stream(stream: type[Any]) -> None:
    assert read_bytes(PACKED, Item, stream) == SAMPLES


def test_a_gzip_shard_read_ahead_leaves_the_next_one_alone() -> None:
    class Remote(BytesSource):
        is_remote = True

    shards = {"a": PACKED, "b": SHARD, "c": PACKED}
    assert list(Dataset[Item](Remote(shards))) == [*SAMPLES, *SAMPLES, *SAMPLES]


def test_a_shard_of_several_gzip_parts_is_read() -> None:
    middle = len(SHARD) // 2
    parts = gzip.compress(SHARD[:middle]) + gzip.compress(SHARD[middle:])
    assert read_bytes(parts, Item) == SAMPLES


def test_a_stream_is_not_closed_by_whoever_decompresses_it() -> None:
    stream = io.BytesIO(PACKED)
    rows = ShardReader(Item).read(stream, "the-shard")
    assert sum(map(len, rows)) == len(SAMPLES)
    del rows
    gc.collect()
    assert not stream.closed


def test_gzip_within_gzip_is_called_so(tmp_path: Path) -> None:
    file = tmp_path / "twice.tar.gz"
    file.write_bytes(gzip.compress(PACKED))
    for source in (URLSource(file), URLSource(file, compression="gzip")):
        with pytest.raises(CorruptDataError, match=r"twice.*more than once.*gunzip"):
            list(Dataset[Item](source))


def test_a_compressed_shard_is_truncated_or_whole_at_every_length() -> None:
    whole = gzip.compress(shard_bytes(items(2)), mtime=0)
    for length in range(len(whole)):
        with pytest.raises(TruncatedShardError, match="the-shard"):
            read_bytes(whole[:length], Item)


def test_every_changed_byte_of_a_compressed_shard_is_an_error_or_nothing() -> None:
    whole = gzip.compress(shard_bytes(items(2)), mtime=0)
    for offset in range(len(whole)):
        changed = whole[:offset] + bytes([whole[offset] ^ 0x10]) + whole[offset + 1 :]
        with suppress(CorruptDataError):
            assert read_bytes(changed, Item) == items(2)


def test_what_is_not_gzip_is_corrupt_where_gzip_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(SHARD)
    assert list(Dataset[Item](file)) == SAMPLES
    with pytest.raises(CorruptDataError, match="not valid gzip"):
        list(Dataset[Item](URLSource(file, compression="gzip")))


def _zip(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.tar", data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "command"),
    [
        (bz2.compress(SHARD), "bzip2", "bunzip2"),
        (lzma.compress(SHARD), "xz", "unxz"),
        (_zip(SHARD), "zip", "unzip"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd", "unzstd"),
        (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd", "unzstd"),
        (b"\x04\x22\x4d\x18" + bytes(600), "lz4", "unlz4"),
    ],
)
def test_any_other_compression_is_named_with_what_undoes_it(
    data: bytes, name: str, command: str
) -> None:
    with pytest.raises(CorruptDataError, match=rf"the-shard is {name}-.*with {command}$") as caught:
        read_bytes(data, Item)
    assert not isinstance(caught.value, TruncatedShardError)


@pytest.mark.parametrize("compression", ["zstd", "gz", "", True])
def test_only_gzip_can_be_asked_for(compression: Any) -> None:
    with pytest.raises(ValueError, match="compression is 'gzip' or None"):
        URLSource("a.tar", compression=compression)


def test_a_registered_dataset_may_be_of_compressed_shards(file: Path, tmp_path: Path) -> None:
    from atdata import Index, load_dataset

    with Index(path=tmp_path / "index.db") as index:
        index.publish_schema(Item)
        index.add_entry(Dataset[Item](file), name="packed")
        assert list(load_dataset("@local/packed", Item, index=index, split="train")) == SAMPLES


def test_a_compressed_shard_keeps_what_comes_before_an_error() -> None:
    samples = iter(dataset_of(gzip.compress(SHARD[: 20 * 1024]), Item))
    assert [next(samples) for _ in range(20)] == SAMPLES[:20]
    with pytest.raises(TruncatedShardError):
        next(samples)
