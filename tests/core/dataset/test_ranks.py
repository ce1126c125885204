"""Ranks of a training job divide what ``ordered`` and ``shuffled`` give, and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tests.sample_types import Item, items
from tests.shard_files import write_shards

from atdata import Dataset, Index, LocalDiskStore, load_dataset

COUNT = 12


@pytest.fixture
def ds(tmp_path: Path) -> Dataset[Item]:
    return Dataset[Item](write_shards(tmp_path, items(COUNT), 4))


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, object], None]:
    def announce(rank: object, ranks: object) -> None:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(ranks))

    return announce


def numbers(samples: Any) -> list[int]:
    return [sample.number for sample in samples]


def _parquet_rows(ds: Dataset[Item], folder: Path) -> int:
    ds.to_parquet(folder / "a.parquet")
    return int(pyarrow.parquet.read_table(folder / "a.parquet").num_rows)


def _written(ds: Dataset[Item], folder: Path) -> int:
    entry = Index(path=folder / "i.db").write(ds, name="copy")
    return sum(shard.count for shard in entry.shards or ())


def _inserted(ds: Dataset[Item], folder: Path) -> int:
    index = Index(path=folder / "i.db", data_store=LocalDiskStore(folder / "store"))
    return sum(shard.count for shard in index.insert_dataset(ds, name="copy").shards or ())


def _stored(ds: Dataset[Item], folder: Path) -> int:
    urls = LocalDiskStore(folder / "store").write_shards(ds, prefix="a")
    return len(list(Dataset[Item](urls)))


EVERYTHING: dict[str, Callable[[Dataset[Item], Path], int]] = {
    "iteration": lambda ds, _: len(list(ds)),
    "iteration with stages": lambda ds, _: len(list(ds.map(lambda sample: sample))),
    "take": lambda ds, _: len(list(ds.take(COUNT))),
    "head": lambda ds, _: len(ds.head(COUNT)),
    "to_arrow": lambda ds, _: ds.to_arrow().num_rows,
    "to_arrow with stages": lambda ds, _: ds.select("text").to_arrow().num_rows,
    "to_pandas": lambda ds, _: len(ds.to_pandas()),
    "to_parquet": _parquet_rows,
    "Index.write": _written,
    "Index.insert_dataset": _inserted,
    "DataStore.write_shards": _stored,
}


@pytest.mark.parametrize("what", EVERYTHING)
def test_no_environment_makes_reading_take_less(
    what: str, ds: Dataset[Item], tmp_path: Path, as_rank: Callable[[object, object], None]
) -> None:
    as_rank(1, 4)
    assert EVERYTHING[what](ds, tmp_path) == COUNT


def test_a_copy_made_on_one_rank_is_whole(
    tmp_path: Path, as_rank: Callable[[object, object], None]
) -> None:
    source = Index(path=tmp_path / "a.db")
    source.write(items(COUNT), name="a", maxcount=3)
    as_rank(2, 3)
    target = Index(path=tmp_path / "b.db", data_store=LocalDiskStore(tmp_path / "b"))
    target.copy_from(source, "a", shards=True)
    copied = load_dataset("@local/a", Item, split="train", index=target)
    assert list(copied) == items(COUNT)


def test_a_rank_that_is_given_counts_before_the_environment(
    ds: Dataset[Item], as_rank: Callable[[object, object], None]
) -> None:
    as_rank(0, 2)
    for make in (ds.ordered, lambda **given: ds.shuffled(seed=1, **given)):
        parts = [numbers(make(rank=rank, ranks=3)) for rank in range(3)]
        assert all(parts)
        assert sorted(chain(*parts)) == list(range(COUNT))
    assert numbers(ds.ordered(rank=0, ranks=1)) == list(range(COUNT))


def test_ranks_that_read_the_same_are_given_the_same_rank(ds: Dataset[Item]) -> None:
    first, second = (ds.shuffled(seed=1, batch_size=2, rank=1, ranks=2) for _ in range(2))
    assert [list(batch) for batch in first] == [list(batch) for batch in second]


def test_a_rank_that_is_given_goes_along_when_a_pipeline_is_pickled(ds: Dataset[Item]) -> None:
    pipeline = ds.ordered(rank=1, ranks=4)
    assert numbers(pickle.loads(pickle.dumps(pipeline))) == numbers(pipeline) == [3, 4, 5]


@pytest.mark.parametrize(("rank", "ranks"), [(0, None), (None, 2), (2, 2), (-1, 2), (0, 0)])
def test_a_rank_that_cannot_be_is_refused(
    ds: Dataset[Item], rank: int | None, ranks: int | None
) -> None:
    with pytest.raises(ValueError, match="rank"):
        ds.ordered(rank=rank, ranks=ranks)
    with pytest.raises(ValueError, match="rank"):
        ds.shuffled(rank=rank, ranks=ranks)


@pytest.mark.parametrize(("rank", "ranks"), [("2", "2"), ("-1", "2"), ("one", "2"), ("0", "two")])
def test_an_environment_that_makes_no_sense_is_an_error(
    ds: Dataset[Item], rank: str, ranks: str, as_rank: Callable[[object, object], None]
) -> None:
    as_rank(rank, ranks)
    with pytest.raises(ValueError, match="WORLD_SIZE"):
        list(ds.ordered())
    assert len(list(ds)) == COUNT


def test_half_of_an_announcement_is_none(
    ds: Dataset[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    assert numbers(ds.ordered()) == list(range(COUNT))
