"""Reading in order and shuffled: every sample once, in batches of any size, again and again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webdataset
from tests.sample_types import Item, Number, items
from tests.shard_files import write_shard, write_shards

from atdata import Dataset, SampleBatch
from atdata.errors import ShardNotFoundError

COUNT = 103


@pytest.fixture
def ds(tmp_path: Path) -> Dataset[Item]:
    return Dataset[Item](write_shards(tmp_path, items(COUNT), 7))


def numbers(samples: Any) -> list[int]:
    return [sample.number for sample in samples]


def batched_numbers(batches: Any) -> list[int]:
    return [number for batch in batches for number in batch.number]


def test_ordered_is_a_pipeline_that_iterates_again(ds: Dataset[Item]) -> None:
    pipeline = ds.ordered()
    assert isinstance(pipeline, webdataset.DataPipeline)
    assert numbers(pipeline) == numbers(pipeline) == list(range(COUNT))


def test_shuffled_is_a_pipeline_that_iterates_again(ds: Dataset[Item]) -> None:
    pipeline = ds.shuffled()
    assert isinstance(pipeline, webdataset.DataPipeline)
    assert sorted(numbers(pipeline)) == sorted(numbers(pipeline)) == list(range(COUNT))


def test_two_iterations_at_once_do_not_disturb_each_other(ds: Dataset[Item]) -> None:
    pipeline = ds.ordered()
    pairs = list(zip(pipeline, pipeline, strict=True))
    assert [(a.number, b.number) for a, b in pairs] == [(n, n) for n in range(COUNT)]


def test_pipelines_are_extended_in_webdatasets_way(ds: Dataset[Item]) -> None:
    def doubled(samples: Iterator[Item]) -> Iterator[int]:
        for sample in samples:
            yield sample.number * 2

    pipeline = ds.ordered().compose(doubled)
    assert list(pipeline) == [2 * n for n in range(COUNT)]
    assert list(pipeline) == [2 * n for n in range(COUNT)]
    assert list(ds.ordered().compose(webdataset.map(lambda s: s.number)))[:3] == [0, 1, 2]


@pytest.mark.parametrize("size", [1, 2, 15, 102, 103, 104, 1000])
def test_batches_are_full_but_for_the_last(ds: Dataset[Item], size: int) -> None:
    batches = list(ds.ordered(batch_size=size))
    assert all(isinstance(batch, SampleBatch) for batch in batches)
    full, rest = divmod(COUNT, size)
    assert [len(batch) for batch in batches] == [size] * full + [rest] * bool(rest)
    assert batched_numbers(batches) == list(range(COUNT))


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_shuffled_batches_hold_every_sample_once(ds: Dataset[Item], size: int) -> None:
    batches = list(ds.shuffled(batch_size=size, seed=1))
    assert sorted(batched_numbers(batches)) == list(range(COUNT))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_nothing_is_refused(ds: Dataset[Item], size: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        ds.ordered(batch_size=size)
    with pytest.raises(ValueError, match="at least one"):
        ds.shuffled(batch_size=size)


def test_without_batches_single_samples_come(ds: Dataset[Item]) -> None:
    assert isinstance(next(iter(ds.ordered(batch_size=None))), Item)
    assert isinstance(next(iter(ds.shuffled())), Item)


@pytest.mark.parametrize(
    ("shards", "samples"), [(100, 10_000), (1, 1), (2, 5), (100, 1), (0, 0), (3, 1000)]
)
@pytest.mark.parametrize("seed", [None, 0, 7])
def test_any_buffer_yields_every_sample_once(
    ds: Dataset[Item], shards: int, samples: int, seed: int | None
) -> None:
    found = numbers(ds.shuffled(buffer_shards=shards, buffer_samples=samples, seed=seed))
    assert Counter(found) == Counter(range(COUNT))


def test_a_seed_and_epoch_repeat_the_order(ds: Dataset[Item]) -> None:
    orders = {
        (seed, epoch): tuple(numbers(ds.shuffled(seed=seed, epoch=epoch)))
        for seed, epoch in itertools.product([0, 1, 2], [0, 1, 2])
    }
    assert len(set(orders.values())) == 9
    for (seed, epoch), order in orders.items():
        assert tuple(numbers(ds.shuffled(seed=seed, epoch=epoch))) == order


def test_a_seed_repeats_the_order_in_batches_too(ds: Dataset[Item]) -> None:
    single = numbers(ds.shuffled(seed=5))
    assert batched_numbers(ds.shuffled(seed=5, batch_size=8)) == single


def test_without_a_seed_the_order_is_new_each_time(ds: Dataset[Item]) -> None:
    pipeline = ds.shuffled()
    assert len({tuple(numbers(pipeline)) for _ in range(5)}) == 5


def test_a_large_buffer_spreads_samples_evenly(tmp_path: Path) -> None:
    count = 400
    ds = Dataset[Number](write_shards(tmp_path, [Number(n) for n in range(count)], 4))
    sums = [0] * count
    rounds = 60
    for epoch in range(rounds):
        for place, number in enumerate(numbers(ds.shuffled(seed=1, epoch=epoch))):
            sums[number] += place
    middle = (count - 1) / 2
    # The mean place of a sample over the rounds has a deviation of count / sqrt(12 * rounds).
    deviation = count / (12 * rounds) ** 0.5
    assert all(abs(total / rounds - middle) < 5 * deviation for total in sums)


def test_a_small_buffer_still_moves_samples(ds: Dataset[Item]) -> None:
    found = numbers(ds.shuffled(buffer_shards=1, buffer_samples=10, seed=2))
    assert found != list(range(COUNT))
    assert all(place - number < 11 + 100 for place, number in enumerate(found))


def test_shards_are_shuffled_as_well(tmp_path: Path) -> None:
    ds = Dataset[Item](write_shards(tmp_path, items(100), 20))
    firsts = {numbers(ds.shuffled(buffer_samples=1, seed=seed))[0] for seed in range(20)}
    assert len(firsts) > 3


def test_nodes_share_the_samples_between_them(
    ds: Dataset[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    for pipeline in (ds.ordered(), ds.shuffled(seed=4), ds.shuffled()):
        found: list[int] = []
        for rank in range(3):
            monkeypatch.setenv("RANK", str(rank))
            part = numbers(pipeline)
            assert part
            found += part
        assert sorted(found) == list(range(COUNT))


@pytest.mark.parametrize("batch_size", [None, 4])
def test_nodes_take_the_first_samples_once(
    ds: Dataset[Item], batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    first = ds.take(30)
    pipelines: list[Any] = [
        first.ordered(batch_size=batch_size),
        first.shuffled(seed=4, batch_size=batch_size),
    ]
    for pipeline in pipelines:
        found: list[int] = []
        for rank in range(3):
            monkeypatch.setenv("RANK", str(rank))
            found += (numbers if batch_size is None else batched_numbers)(pipeline)
        assert sorted(found) == list(range(30))


def test_a_missing_shard_is_an_error_when_its_turn_comes(tmp_path: Path) -> None:
    first = write_shard(tmp_path / "a.tar", items(3))
    iterator = iter(Dataset[Item]([first, str(tmp_path / "b.tar")]))
    assert [next(iterator).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ShardNotFoundError, match=r"b\.tar"):
        next(iterator)


def test_an_iteration_that_is_abandoned_closes_its_shard(tmp_path: Path) -> None:
    opened: list[Any] = []

    class Source:
        def list_shards(self) -> list[str]:
            return [write_shard(tmp_path / "a.tar", items(50))]

        def open_shard(self, shard_id: str) -> Any:
            opened.append(open(shard_id, "rb"))  # noqa: SIM115 -- the reader closes it
            return opened[-1]

        shards: Any = ()

    iterator = iter(Dataset[Item](Source()).ordered())
    next(iterator)
    del iterator
    assert [stream.closed for stream in opened] == [True]
