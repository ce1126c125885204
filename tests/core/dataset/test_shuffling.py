"""How well shuffled reading mixes: evenly if the buffer holds everything, else as far as a peer.

The peer is webdataset's shuffle of shards and then of samples, at the same sizes and with its
buffer filled before it gives the first sample, which is how it mixes best. Seeds are fixed, so
what passes once passes always.
"""

from __future__ import annotations

import io
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.shard_files import BytesSource, shard_bytes

from atdata import Dataset, packable
from atdata.shards import ShardReader

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@packable
class Even:
    """Samples that are read as columns, one like the other."""

    number: int
    values: NDArray[np.uint8]


@packable
class Ragged(Even):
    """Samples whose arrays differ in length, of a class that has a say in how they are made."""

    def __post_init__(self) -> None:
        self.number += 0


def sample(sample_type: type[Even], number: int) -> Even:
    length = number * 7919 % 23 if sample_type is Ragged else 3
    return sample_type(number, np.zeros(length, np.uint8))


def dataset(sample_type: type[Even], count: int, shards: int) -> Dataset[Even]:
    parts = parts_of(count, shards)
    shard_data = {
        f"{index:05d}": shard_bytes(sample(sample_type, number) for number in part)
        for index, part in enumerate(parts)
    }
    return Dataset(BytesSource(shard_data), sample_type=sample_type)


def parts_of(count: int, shards: int) -> list[range]:
    return [range(a, b) for a, b in pairwise(count * n // shards for n in range(shards + 1))]


class Case(NamedTuple):
    """How much there is, and the buffers it is shuffled through."""

    length: int
    shards: int
    buffer_shards: int
    buffer_samples: int

    def order(
        self, ds: Dataset[Even], seed: int, epoch: int = 0, batch_size: int | None = None
    ) -> list[int]:
        buffers = self.buffer_shards, self.buffer_samples
        if batch_size is None:
            return [one.number for one in ds.shuffled(*buffers, seed=seed, epoch=epoch)]
        batches = ds.shuffled(*buffers, batch_size=batch_size, seed=seed, epoch=epoch)
        return [number for batch in batches for number in batch.number]

    def order_of_peer(self, seed: int) -> list[int]:
        shards, samples = self.buffer_shards, self.buffer_samples
        parts = parts_of(self.length, self.shards)
        stage = webdataset.detshuffle(bufsize=shards, initial=shards, seed=seed)
        numbers = (number for part in stage.run(iter(parts)) for number in part)
        return list(webdataset.shuffle(samples, initial=samples, seed=seed + 10**6)(numbers))


def spread(order: list[int]) -> Numbers:
    """Measure how far samples move (two ways), and how far neighbours are taken apart."""
    places = np.argsort(order)
    moved = places - np.arange(len(places))
    return np.array([moved.std(), np.abs(moved).mean(), np.abs(np.diff(places)).mean()])


CASES = {
    "everything fits": Case(400, 4, 100, 10_000),
    "ten times the buffer": Case(4000, 1, 1, 400),
    "many shards": Case(1500, 75, 8, 150),
    "many shards, all at once": Case(1500, 40, 100, 150),
    "shards as long as the buffer": Case(1500, 10, 3, 150),
}
SEEDS = range(20)


@cache
def spreads_of_peer(case: Case) -> Numbers:
    return np.array([spread(case.order_of_peer(seed)) for seed in SEEDS])


@pytest.mark.parametrize("batch_size", [None, 64], ids=["singles", "batches"])
@pytest.mark.parametrize("sample_type", [Even, Ragged])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_samples_spread_as_far_as_through_webdatasets_shuffle(
    case: Case, sample_type: type[Even], batch_size: int | None
) -> None:
    ds = dataset(sample_type, case.length, case.shards)
    ours = np.array([spread(case.order(ds, seed, batch_size=batch_size)) for seed in SEEDS])
    peers = spreads_of_peer(case)
    errors = np.sqrt((ours.var(axis=0) + peers.var(axis=0)) / len(SEEDS))
    # Columns are exchanged a few rows at a time, which may cost them a hundredth.
    assert (ours.mean(axis=0) >= 0.99 * peers.mean(axis=0) - 3 * errors).all(), ours.mean(
        axis=0
    ) / peers.mean(axis=0)


def test_one_kind_of_samples_is_shuffled_as_columns_and_the_other_as_objects() -> None:
    for sample_type in (Even, Ragged):
        stream = io.BytesIO(shard_bytes(sample(sample_type, number) for number in range(400)))
        forms = {part.form for part in ShardReader(sample_type).read(stream, "x")}
        assert len(forms) == 1
        assert (None in forms) == (sample_type is Ragged)


@pytest.mark.parametrize("sample_type", [Even, Ragged])
@pytest.mark.parametrize("shards", [1, 5])
def test_every_order_is_as_likely_if_everything_fits(sample_type: type[Even], shards: int) -> None:
    count, rounds = 20, 500
    ds, case = dataset(sample_type, count, shards), Case(count, shards, shards, count)
    seen = np.zeros((count, count))
    followed = np.zeros((count, count))
    for epoch in range(rounds):
        order = case.order(ds, seed=1, epoch=epoch)
        seen[np.arange(count), order] += 1
        followed[order[:-1], order[1:]] += 1
    # Each sample is as often in each place, and each other sample as often behind it.
    assert_even(seen, rounds / count, (count - 1) ** 2)
    off_diagonal = followed[~np.eye(count, dtype=bool)]
    assert_even(off_diagonal, rounds / count, count * (count - 1) - 1)


def assert_even(counts: NDArray[np.float64], expected: float, freedom: int) -> None:
    """Require that the chi-squared statistic is where chance alone would put it."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5


@settings(max_examples=60)
@given(
    case=st.builds(
        Case, st.integers(6, 300), st.integers(1, 6), st.integers(1, 8), st.integers(1, 400)
    ),
    batch_size=st.none() | st.integers(1, 70),
    sample_type=st.sampled_from([Even, Ragged]),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_every_sample_comes_once_and_again_in_the_same_order(
    case: Case, batch_size: int | None, sample_type: type[Even], seed: int, epoch: int
) -> None:
    ds = dataset(sample_type, case.length, case.shards)
    order = case.order(ds, seed, epoch, batch_size)
    assert Counter(order) == Counter(range(case.length))
    assert case.order(ds, seed, epoch, batch_size) == order
    assert case.order(ds, seed, epoch) == order


@pytest.mark.parametrize("mixed", [False, True])
def test_files_and_streams_are_shuffled_alike(mixed: bool, tmp_path: Path) -> None:
    # Large values of files are read by their outlines, so runs are longer than those of streams.
    lengths = [5 if mixed and number % 90 > 70 else 40_000 for number in range(600)]
    data = shard_bytes(Even(n, np.zeros(size, np.uint8)) for n, size in enumerate(lengths))
    (tmp_path / "x.tar").write_bytes(data)
    case = Case(600, 1, 1, 250)
    streamed = case.order(Dataset(BytesSource({"x": data}), sample_type=Even), seed=1)
    for batch_size in (None, 7):
        local = Dataset(str(tmp_path / "x.tar"), sample_type=Even)
        assert case.order(local, 1, batch_size=batch_size) == streamed


@pytest.mark.parametrize("sample_type", [Even, Ragged])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_epoch_and_seed_has_an_order_of_its_own(case: Case, sample_type: type[Even]) -> None:
    ds = dataset(sample_type, case.length, case.shards)
    orders = [case.order(ds, seed, epoch) for seed in range(3) for epoch in range(3)]
    for number, order in enumerate(orders):
        for other in orders[:number]:
            # Two permutations agree in one place on average, not in the many of a shared stretch.
            agreed = sum(a == b for a, b in zip(order, other, strict=True))
            assert agreed < case.length / 20
