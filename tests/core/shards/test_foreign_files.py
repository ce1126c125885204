"""What lies in the place of a shard and is not one: named for what it looks like, with a remedy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_types import Item, items
from tests.shard_files import dataset_of, read_bytes, shard_bytes

from atdata.errors import CorruptDataError, EmptyDatasetError, TruncatedShardError
from atdata.shards.foreign import why_not_tar

BLOCK = 512
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1048\n" % (b"4d" * 32)


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(4.0))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (POINTER, "a Git LFS pointer; run git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page; check the URL"),
        (b"\xef\xbb\xbf\n <HTML>" + b"x" * 3000, "an HTML page; check the URL"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "not found"}', "a JSON document"),
        (b"[1, 2, 3]" * 100, "a JSON document"),
        (b"name,age\nann,7\n", "text; only tar archives"),
        ("gr\u00fc\u00dfe, world\n".encode() * 100, "text; only tar archives"),
        (b"PAR1" + bytes(range(256)) * 8, "a Parquet file"),
        (_npy(), "an npy file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(90)), "an image"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4, "an image"),
    ],
)
def test_what_is_not_a_tar_is_named_for_what_it_looks_like(data: bytes, said: str) -> None:
    with pytest.raises(CorruptDataError) as caught:
        read_bytes(data, Item)
    assert f"the-shard is not a tar archive: it looks like {said}" in str(caught.value)
    assert not isinstance(caught.value, TruncatedShardError)
    assert caught.value.details == {"shard": "the-shard", "offset": 0}


@pytest.mark.parametrize("size", [100, 511, 5000])
def test_other_data_is_only_said_not_to_be_a_tar(size: int) -> None:
    data = (bytes(range(1, 256)) + bytes(255)) * 20
    with pytest.raises(CorruptDataError, match="the-shard is not a tar archive; only") as caught:
        read_bytes(data[:size], Item)
    assert not isinstance(caught.value, TruncatedShardError)


def test_an_empty_file_is_not_an_archive() -> None:
    with pytest.raises(TruncatedShardError, match="the-shard is empty: it has 0 bytes"):
        read_bytes(b"", Item)


def test_a_damaged_first_header_is_still_that_of_a_tar() -> None:
    data = bytearray(shard_bytes(items(2)))
    data[3] ^= 1
    with pytest.raises(CorruptDataError, match="a tar header has a wrong checksum"):
        read_bytes(bytes(data), Item)


@given(
    key=st.text(st.characters(codec="utf-8", exclude_characters="/.\0\n"), min_size=1, max_size=40),
    length=st.integers(1, BLOCK - 1),
)
def test_the_start_of_a_tar_is_never_taken_for_something_else(key: str, length: int) -> None:
    start = shard_bytes(items(1), [f"k{key}"])[:length]
    assert why_not_tar(start) is None


@given(st.binary(max_size=2 * BLOCK))
def test_anything_else_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises((CorruptDataError, EmptyDatasetError)):
        read_bytes(data, Item)


@pytest.mark.parametrize("blocks", [2, 20])
def test_an_archive_without_members_is_a_shard_without_samples(blocks: int) -> None:
    with pytest.raises(EmptyDatasetError, match="holds no samples in any of its shards"):
        read_bytes(bytes(blocks * BLOCK), Item)
    with pytest.raises(EmptyDatasetError):
        list(dataset_of(bytes(blocks * BLOCK), Item).ordered(batch_size=3))
    with pytest.raises(EmptyDatasetError):
        list(dataset_of(bytes(blocks * BLOCK), Item).shuffled(seed=1))
