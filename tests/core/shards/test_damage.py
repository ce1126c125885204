"""Damaged shards: an error that says where, or every sample as it was written; never fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.shard_files import dataset_of, read_bytes, shard_bytes, tar_bytes

from atdata import AtdataError, Dataset
from atdata.errors import CorruptDataError, TruncatedShardError

BLOCK = 512
SAMPLES = items(2)
SHARD = shard_bytes(SAMPLES)
# Enough that a reader may take them for columns of equal samples.
MANY = items(100)
SERIES = shard_bytes(MANY)


def one_by_one(ds: Dataset[Item]) -> list[Item]:
    return list(ds)


def in_batches(ds: Dataset[Item]) -> list[Item]:
    return list(_rows(ds))


def _rows(ds: Dataset[Item]) -> Iterator[Item]:
    for batch in ds.ordered(batch_size=2):
        yield from map(Item, batch.number, batch.text, batch.values)


def shuffled(ds: Dataset[Item]) -> list[Item]:
    return sorted(ds.shuffled(seed=1), key=lambda sample: sample.number)


Reader = Callable[[Dataset[Item]], list[Item]]
BOTH: list[Reader] = [one_by_one, in_batches]
readers = pytest.mark.parametrize("read", [*BOTH, shuffled])


def _padding(shard: bytes, samples: list[Item]) -> set[int]:
    """Find the bytes that fill the last block of a sample, which mean nothing."""
    found: set[int] = set()
    for sample in samples:
        end = shard.index(sample.packed) + len(sample.packed)
        found |= set(range(end, end + -end % BLOCK))
    return found


def _outcome(read: Reader, data: bytes) -> tuple[list[Item], TruncatedShardError | None]:
    try:
        return read(dataset_of(data, Item)), None
    except TruncatedShardError as error:
        return [], error


def _flipped(data: bytes, offset: int, bit: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :]


def _free_bits(shard: bytes, samples: list[Item]) -> set[tuple[int, int]]:
    """Find the bits whose flip makes another valid sample, which a digest alone can tell."""
    found: set[tuple[int, int]] = set()
    for sample in samples:
        start = shard.index(sample.packed)
        number = shard.index(b"number\xd3", start) + len(b"number\xd3")
        text = shard.index(sample.text.encode(), start)
        values = shard.index(b"\n", shard.index(b"), }", start)) + 1
        for at, length in ((number, 8), (text, len(sample.text)), (values, sample.values.nbytes)):
            found |= {(at + byte, bit) for byte in range(length) for bit in range(8)}
        # `<f4` and `>f4` differ in one bit.
        found.add((shard.index(b"<f4", start), 1))
    return found


@readers
def test_d9_truncated_at_every_offset_is_an_error_or_the_whole(read: Reader) -> None:
    for length in range(len(SHARD)):
        found, error = _outcome(read, SHARD[:length])
        assert found == SAMPLES or (error and error.details["offset"] == length), length
        said = f"is truncated: it ends at offset {length}" if length else "is empty: it has 0 bytes"
        assert error is None or f"the-shard {said}" in str(error)


def test_a_shard_cut_before_its_end_mark_is_an_error_even_between_samples() -> None:
    members = len(SHARD) - 2 * BLOCK
    with pytest.raises(TruncatedShardError, match=f"offset {members}"):
        read_bytes(SHARD[:members], Item)


def test_the_samples_before_a_cut_are_yielded_before_the_error() -> None:
    iterator = iter(dataset_of(SHARD[: 2 * BLOCK + 100], Item))
    with pytest.raises(TruncatedShardError):
        list(iterator)


@pytest.mark.parametrize(
    ("read", "step"),
    [(one_by_one, 3), (in_batches, 5), *(pytest.param(r, 1, marks=pytest.mark.slow) for r in BOTH)],
)
def test_d10_every_flipped_bit_is_an_error_or_changes_nothing(read: Reader, step: int) -> None:
    bits = {(offset, bit) for offset in range(len(SHARD)) for bit in range(8)}
    padding = _padding(SHARD, SAMPLES)
    for offset, bit in sorted(bits - _free_bits(SHARD, SAMPLES))[::step]:
        if offset not in padding:
            with suppress(AtdataError):
                found = read(dataset_of(_flipped(SHARD, offset, bit), Item))
                assert found == SAMPLES, (offset, bit)


def test_d10_flipped_padding_changes_nothing() -> None:
    for offset in _padding(SHARD, SAMPLES):
        assert read_bytes(_flipped(SHARD, offset, offset % 8), Item) == SAMPLES


def test_d10_flipped_contents_never_change_the_number_of_samples() -> None:
    for offset, bit in sorted(_free_bits(SHARD, SAMPLES)):
        with suppress(AtdataError):
            assert len(read_bytes(_flipped(SHARD, offset, bit), Item)) == len(SAMPLES)


@pytest.mark.parametrize("read", BOTH)
@pytest.mark.parametrize("damaged", [0, 60, 99])
def test_d10_a_flipped_bit_among_many_equal_samples_is_no_different(
    read: Reader, damaged: int
) -> None:
    start = damaged * 2 * BLOCK
    bits = {(offset, offset % 8) for offset in range(start, start + 2 * BLOCK)}
    bits -= _free_bits(SERIES, MANY)
    for offset, bit in sorted(bits):
        with suppress(AtdataError):
            found = read(dataset_of(_flipped(SERIES, offset, bit), Item))
            assert found == MANY, (offset, bit)


@pytest.mark.parametrize("read", BOTH)
def test_d9_many_equal_samples_are_truncated_or_whole(read: Reader) -> None:
    for length in [*range(0, len(SERIES), 211), *range(0, len(SERIES), BLOCK)]:
        found, error = _outcome(read, SERIES[:length])
        assert found == MANY or (error and error.details["offset"] == length), length


def test_an_error_in_a_sample_names_its_shard_and_key() -> None:
    data = SHARD.replace(b"values", b"volume", 2)
    with pytest.raises(AtdataError, match=r"volume.*'000000'.*the-shard") as caught:
        read_bytes(data, Item)
    assert caught.value.details["shard"] == "the-shard"
    assert caught.value.details["key"] == "000000"


@pytest.mark.parametrize(
    "data",
    [b"hello, world\n" * 100, bytes(range(256)) * 8, b"\x00" * 511 + b"x" * 1025, b"{" * 600],
    ids=["text", "bytes", "late", "braces"],
)
def test_what_is_no_tar_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptDataError, match="the-shard"):
        read_bytes(data, Item)


def test_data_behind_the_end_mark_is_an_error() -> None:
    with pytest.raises(CorruptDataError, match="goes on after its end"):
        read_bytes(SHARD + SHARD, Item)


def test_a_shard_without_samples_for_the_type_is_an_error_of_its_own_family() -> None:
    data: Any = tar_bytes([("a.msgpack", b"\xc1")])
    with pytest.raises(CorruptDataError, match=r"'a'.*the-shard"):
        read_bytes(data, Item)
