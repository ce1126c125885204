"""However a stream hands out its bytes, and however large a sample is, the samples are the same."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sample_types import Item, items
from tests.shard_files import (
    RandomReads,
    ReadOnly,
    ShortReads,
    SingleBytes,
    dataset_of,
    read_bytes,
    shard_bytes,
)

from atdata import packable

WINDOW = 4 << 20
STREAMS = [ShortReads, SingleBytes, RandomReads, ReadOnly]


@packable
class Block:
    number: int
    data: NDArray[np.uint8]


@packable
class Mixed:
    text: str
    score: float | None
    vector: NDArray[np.float64] | None
    tags: list[str]
    flag: bool
    raw: bytes


def block(number: int, size: int) -> Block:
    return Block(number, (np.arange(size) + number).astype(np.uint8))


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_short_reads_change_nothing(stream: type[Any], batch_size: int | None) -> None:
    ds = dataset_of(shard_bytes(items(20)), Item, stream)
    found = ds.ordered(batch_size=batch_size)
    samples = list(found) if batch_size is None else [one for batch in found for one in batch]
    assert samples == items(20)


@pytest.mark.parametrize("size", [WINDOW - 2048, WINDOW, WINDOW + 1, 3 * WINDOW])
@pytest.mark.parametrize("stream", [io.BytesIO, RandomReads])
def test_samples_larger_than_the_window_are_read(size: int, stream: type[Any]) -> None:
    samples = [block(0, 10), block(1, size), block(2, size), block(3, 10)]
    assert read_bytes(shard_bytes(samples), Block, stream) == samples


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batches_cross_the_edges_of_windows(batch_size: int) -> None:
    samples = [block(number, 150_000) for number in range(70)]
    batches = list(dataset_of(shard_bytes(samples), Block).ordered(batch_size=batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert np.concatenate([batch.number for batch in batches]).tolist() == list(range(70))
    stacked = np.concatenate([batch.data for batch in batches])
    assert np.array_equal(stacked, np.stack([sample.data for sample in samples]))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30), st.integers(1, 9))
def test_samples_of_any_sizes_are_the_same_alone_and_in_batches(
    sizes: list[int], batch_size: int
) -> None:
    samples = [block(number, size) for number, size in enumerate(sizes)]
    ds = dataset_of(shard_bytes(samples), Block, RandomReads)
    assert list(ds) == samples
    assert [one for batch in ds.ordered(batch_size) for one in batch] == samples


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.sampled_from([0, 8, 300, 301, 2000])), max_size=6),
    st.integers(1, 100),
)
def test_series_of_equal_samples_are_the_same_alone_and_in_batches(
    series: list[tuple[int, int]], batch_size: int
) -> None:
    sizes = [1, *(size for count, size in series for _ in range(count))]
    samples = [block(number, size) for number, size in enumerate(sizes)]
    ds = dataset_of(shard_bytes(samples), Block)
    assert list(ds) == samples
    assert [one for batch in ds.ordered(batch_size) for one in batch] == samples
    numbers = [batch.number for batch in ds.ordered(batch_size)]
    assert [number for part in numbers for number in part] == list(range(len(samples)))


@settings(max_examples=30)
@given(st.data())
def test_texts_and_missing_values_are_the_same_alone_and_in_batches(data: st.DataObject) -> None:
    rows = st.builds(
        Mixed,
        text=st.sampled_from(["", "a", "ü" * 20, "long " * 100]),
        score=st.none() | st.floats(),
        vector=st.none() | st.builds(np.zeros, st.integers(0, 3)),
        tags=st.lists(st.sampled_from(["x", "yy"]), max_size=3),
        flag=st.booleans(),
        raw=st.binary(max_size=4),
    )
    kinds = data.draw(st.lists(rows, min_size=1, max_size=4))
    samples = [kinds[number // 90 % len(kinds)] for number in range(400)]
    ds = dataset_of(shard_bytes(samples), Mixed)
    assert list(ds) == samples
    batches = list(ds.ordered(37))
    assert [one for batch in batches for one in batch] == samples
    for name in ("text", "tags", "flag", "raw"):
        found = [value for batch in ds.ordered(37) for value in batch[name]]
        assert found == [getattr(sample, name) for sample in samples]


def test_what_was_read_is_its_own_and_stays() -> None:
    samples = [block(number, 100_000) for number in range(100)]
    ds = dataset_of(shard_bytes(samples), Block)
    iterator = iter(ds)
    first = next(iterator)
    first.data[:] = 7
    rest = list(iterator)
    assert np.all(first.data == 7)
    assert rest == samples[1:]


def test_batches_own_their_memory() -> None:
    samples = [block(number, 50_000) for number in range(200)]
    batches = list(dataset_of(shard_bytes(samples), Block).ordered(batch_size=10))
    kept = [batch.data.copy() for batch in batches]
    batches[0].data[:] = 0
    assert all(np.array_equal(a.data, b) for a, b in zip(batches[1:], kept[1:], strict=True))
