"""Datasets in torch's DataLoader: each sample exactly once, whatever the number of workers."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, Label, items
from tests.shard_files import registered, write_shards

from atdata import Dataset, SampleBatch

pytestmark = [
    pytest.mark.torch,
    # Torch forks with threads running, and finds four workers too many for two processors.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

COUNT = 100
WORKERS = [
    (0, None),
    *[(workers, method) for workers in (1, 2, 4) for method in ("fork", "spawn")],
]
workers = pytest.mark.parametrize(("count", "method"), WORKERS)


@pytest.fixture
def ds(tmp_path: Path) -> Dataset[Item]:
    return Dataset[Item](write_shards(tmp_path, items(COUNT), 5))


def load(pipeline: Any, count: int, method: str | None) -> list[Any]:
    """Read a pipeline through a DataLoader that leaves samples as they are."""
    from torch.utils.data import DataLoader

    context = multiprocessing.get_context(method) if method else None
    loader: Any = DataLoader(
        pipeline, batch_size=None, num_workers=count, multiprocessing_context=context
    )
    return list(loader)


def numbers(samples: list[Any]) -> Counter[int]:
    return Counter(sample.number for sample in samples)


def batched_numbers(batches: list[SampleBatch[Item]]) -> Counter[int]:
    return Counter(number for batch in batches for number in batch.number)


ALL = Counter(range(COUNT))


@workers
def test_ordered_samples_come_once(ds: Dataset[Item], count: int, method: str | None) -> None:
    assert numbers(load(ds.ordered(), count, method)) == ALL


@workers
def test_shuffled_samples_come_once(ds: Dataset[Item], count: int, method: str | None) -> None:
    assert numbers(load(ds.shuffled(seed=1), count, method)) == ALL
    if method != "spawn":
        assert numbers(load(ds.shuffled(), count, method)) == ALL


@workers
def test_ordered_batches_come_once(ds: Dataset[Item], count: int, method: str | None) -> None:
    batches = load(ds.ordered(batch_size=8), count, method)
    assert batched_numbers(batches) == ALL
    assert all(batch.values.shape == (len(batch), 4) for batch in batches)


@workers
def test_shuffled_batches_come_once(ds: Dataset[Item], count: int, method: str | None) -> None:
    batches = load(ds.shuffled(batch_size=8, seed=1), count, method)
    assert batched_numbers(batches) == ALL


@pytest.mark.parametrize("count", [0, 1, 2, 4])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_what_is_taken_comes_once(ds: Dataset[Item], count: int, batch_size: int | None) -> None:
    method = "fork" if count else None
    for pipeline in (
        ds.take(30).ordered(batch_size=batch_size),
        ds.take(30).shuffled(batch_size=batch_size, seed=1),
    ):
        found = load(pipeline, count, method)
        assert (numbers if batch_size is None else batched_numbers)(found) == Counter(range(30))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_more_workers_than_shards_do_no_harm(tmp_path: Path, method: str) -> None:
    ds = Dataset[Item](write_shards(tmp_path, items(10), 2))
    assert numbers(load(ds.ordered(), 3, method)) == Counter(range(10))
    assert numbers(load(ds.shuffled(seed=1), 3, method)) == Counter(range(10))


def test_stages_apply_in_workers(ds: Dataset[Item]) -> None:
    even = ds.filter(lambda sample: sample.number % 2 == 0)
    assert numbers(load(even.ordered(), 2, "fork")) == Counter(range(0, COUNT, 2))
    labels = load(ds.as_type(Label).ordered(), 2, "spawn")
    assert sorted(label.text for label in labels) == sorted(f"text {n}" for n in range(COUNT))


def test_a_seed_repeats_the_order_for_a_number_of_workers(ds: Dataset[Item]) -> None:
    orders = [
        [sample.number for sample in load(ds.shuffled(seed=3, epoch=epoch), 2, "fork")]
        for epoch in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_a_loader_is_iterated_again(ds: Dataset[Item]) -> None:
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(ds.ordered(), batch_size=None, num_workers=2, persistent_workers=True)
    assert numbers(list(loader)) == numbers(list(loader)) == ALL


def test_an_error_in_a_worker_says_what_it_is(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, items(10), 2)
    Path(paths[1]).write_bytes(Path(paths[1]).read_bytes()[:-1024])
    with pytest.raises(Exception, match=r"part-0001\.tar is truncated"):
        load(Dataset[Item](paths).ordered(), 2, "fork")


@pytest.mark.parametrize("count", [0, 2])
def test_webdatasets_loader_reads_it(ds: Dataset[Item], count: int) -> None:
    import webdataset

    loader: Any = webdataset.WebLoader(ds.ordered(batch_size=8), batch_size=None, num_workers=count)
    assert batched_numbers(list(loader)) == ALL
    assert batched_numbers(list(loader.compose(list))) == ALL


def test_arrays_become_tensors(ds: Dataset[Item]) -> None:
    import torch

    for batch in ds.ordered(batch_size=10):
        tensor = torch.from_numpy(batch.values)
        assert tensor.shape == (10, 4)
        assert tensor.dtype == torch.float32


def _read_as_rank(rank: int, ranks: int, paths: list[str], meeting: str, found: Any) -> None:
    """Read in a process whose rank only ``torch.distributed`` knows, through a DataLoader."""
    import torch.distributed

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks
    )
    ds = Dataset[Item](paths)
    parts = {
        f"{count} {method}": [sample.number for sample in load(ds.ordered(), count, method)]
        for count, method in [(0, None), (2, "fork"), (2, "spawn")]
    }
    parts["everything"] = [sample.number for sample in ds]
    found.put(parts)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_ranks_that_only_torch_knows_share_the_samples(tmp_path: Path) -> None:
    import torch.multiprocessing

    paths, meeting = write_shards(tmp_path, items(COUNT), 5), str(tmp_path / "meeting")
    found = multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(_read_as_rank, args=(2, paths, meeting, found), nprocs=2)
    first, second = found.get(), found.get()
    assert first.pop("everything") == second.pop("everything") == list(range(COUNT))
    for way, part in first.items():
        assert part
        assert sorted(part + second[way]) == list(range(COUNT)), way


def test_what_comes_first_to_mind_is_answered_with_what_works(ds: Dataset[Item]) -> None:
    from torch.utils.data import DataLoader

    counted = ds.with_info(registered=registered({"a.tar": (b"", COUNT)}))
    for plain in (ds, counted):
        with pytest.raises(TypeError, match=r"DataLoader\(ds\.ordered\(batch_size=32\)"):
            list(DataLoader(plain, batch_size=4))
