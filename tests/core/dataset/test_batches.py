"""``SampleBatch``: arrays stacked, the rest lists, and clear errors for what cannot be stacked."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sample_types import Item, items
from tests.shard_files import write_shard

from atdata import Dataset, DictSample, SampleBatch, packable
from atdata.errors import BatchError


@packable
class Rich:
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    label: str
    score: float
    tags: list[str]
    extra: dict[str, Any]
    samples: int


def rich(number: int, *, side: int = 2, has_mask: bool = True) -> Rich:
    return Rich(
        image=np.full((side, 3), number, np.uint8),
        mask=np.ones(2, np.bool_) if has_mask else None,
        label=f"l{number}",
        score=number / 2,
        tags=["a"] * number,
        extra={"n": number},
        samples=number,
    )


def in_other_order(sample: Rich) -> DictSample:
    """Return what another writer packs, which puts arrays behind texts and lists."""
    return DictSample({name: getattr(sample, name) for name in reversed(Rich.__annotations__)})


@pytest.fixture(params=["built", "read", "read in another order"])
def batch(request: pytest.FixtureRequest, tmp_path: Path) -> SampleBatch[Rich]:
    samples = [rich(number) for number in range(4)]
    if request.param == "built":
        return SampleBatch[Rich](samples)
    written = samples if request.param == "read" else map(in_other_order, samples)
    path = write_shard(tmp_path / "a.tar", written)
    return next(iter(Dataset[Rich](path).ordered(batch_size=4)))


def test_arrays_are_stacked_along_a_new_first_axis(batch: SampleBatch[Rich]) -> None:
    assert batch.image.shape == (4, 2, 3)
    assert batch.image.dtype == np.uint8
    assert batch.image[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_other_fields_are_lists(batch: SampleBatch[Rich]) -> None:
    assert batch.label == ["l0", "l1", "l2", "l3"]
    assert batch.score == [0.0, 0.5, 1.0, 1.5]
    assert batch.tags == [[], ["a"], ["a", "a"], ["a", "a", "a"]]
    assert batch.extra == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert all(isinstance(batch[name], list) for name in ("label", "score", "tags", "extra"))
    assert [type(score) for score in batch.score] == [float] * 4


def test_what_is_aggregated_is_kept(batch: SampleBatch[Rich]) -> None:
    assert batch.image is batch.image
    assert batch.label is batch.label
    assert batch["image"] is batch.image


def test_fields_whose_names_are_taken_are_items(batch: SampleBatch[Rich]) -> None:
    assert batch["samples"] == [0, 1, 2, 3]
    assert [sample.samples for sample in batch.samples] == [0, 1, 2, 3]


def test_samples_are_the_samples(batch: SampleBatch[Rich]) -> None:
    assert list(batch) == list(batch.samples) == [rich(number) for number in range(4)]
    assert len(batch) == 4
    assert batch.sample_type is Rich
    assert repr(batch) == "SampleBatch[Rich] of 4"


def test_unknown_fields_are_attribute_and_key_errors(batch: SampleBatch[Rich]) -> None:
    with pytest.raises(AttributeError, match="nope"):
        _ = batch.nope
    with pytest.raises(KeyError, match="nope"):
        batch["nope"]
    assert not hasattr(batch, "__array_interface__")


def test_it_pickles_without_its_stacks(batch: SampleBatch[Rich]) -> None:
    copy = pickle.loads(pickle.dumps(batch))
    assert list(copy) == list(batch)
    assert np.array_equal(copy.image, batch.image)
    assert copy.sample_type is Rich


def test_the_type_is_learnt_from_the_first_sample() -> None:
    assert SampleBatch(items(2)).sample_type is Item
    assert SampleBatch[Item](items(2)).sample_type is Item
    assert len(SampleBatch[Item]([])) == 0


@pytest.mark.parametrize("source", ["built", "read"])
def test_ragged_arrays_are_an_error_that_names_field_and_shapes(
    source: str, tmp_path: Path
) -> None:
    samples = [rich(1, side=2), rich(2, side=5)]
    batch = SampleBatch[Rich](samples)
    if source == "read":
        path = write_shard(tmp_path / "a.tar", samples)
        batch = next(iter(Dataset[Rich](path).ordered(batch_size=2)))
    with pytest.raises(BatchError, match=r"'image'.*\[2, 3\].*\[5, 3\]") as caught:
        _ = batch.image
    assert caught.value.details["field"] == "image"
    assert caught.value.details["shapes"] == [(2, 3), (5, 3)]
    assert isinstance(caught.value, ValueError)
    assert batch.label == ["l1", "l2"]
    with pytest.raises(BatchError):
        batch["image"]


@packable
class Loose:
    values: NDArray[Any]


def test_arrays_of_different_dtypes_are_not_converted(tmp_path: Path) -> None:
    samples = [Loose(np.zeros(2, np.float32)), Loose(np.zeros(2, np.float64))]
    path = write_shard(tmp_path / "a.tar", samples)
    for batch in (SampleBatch[Loose](samples), next(iter(Dataset[Loose](path).ordered(2)))):
        with pytest.raises(BatchError, match=r"float32.*float64"):
            _ = batch.values


def test_optional_arrays_with_none_among_them_are_a_list(tmp_path: Path) -> None:
    samples = [rich(0), rich(1, has_mask=False), rich(2)]
    path = write_shard(tmp_path / "a.tar", samples)
    for batch in (SampleBatch[Rich](samples), next(iter(Dataset[Rich](path).ordered(3)))):
        assert isinstance(batch.mask, list)
        assert batch.mask[1] is None
        assert np.array_equal(batch.mask[0], np.ones(2, np.bool_))
        assert batch.image.shape == (3, 2, 3)


def test_optional_arrays_without_none_are_stacked(batch: SampleBatch[Rich]) -> None:
    assert batch.mask.shape == (4, 2)


def test_optional_arrays_that_are_all_none_are_a_list() -> None:
    batch = SampleBatch[Rich]([rich(0, has_mask=False), rich(1, has_mask=False)])
    assert batch.mask == [None, None]


@pytest.mark.parametrize(
    "values",
    [
        np.array(1.5),
        np.zeros((0, 3), np.int8),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array(["2020-01-01"], "M8[D]"),
        np.array(["ab", "c"]),
        np.array([(1, 2.0)], [("a", "<i4"), ("b", "<f8")]),
    ],
    ids=["0-d", "empty", "fortran", "big-endian", "dates", "text", "structured"],
)
def test_arrays_of_every_form_are_stacked_the_same(
    values: NDArray[np.generic], tmp_path: Path
) -> None:
    path = write_shard(tmp_path / "a.tar", [Loose(values)] * 150)
    for batch in Dataset[Loose](path).ordered(batch_size=40):
        assert batch.values.dtype == values.dtype
        assert np.array_equal(batch.values, np.stack([values] * len(batch)))


def test_untyped_batches_have_lists_of_what_is_stored(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", items(3))
    batch = next(iter(Dataset(path).ordered(batch_size=3)))
    assert batch.number == [0, 1, 2]
    assert all(isinstance(values, bytes) for values in batch["values"])
    assert batch.sample_type is DictSample


@packable
class Deep:
    deep: NDArray[np.uint8]


@pytest.mark.parametrize("dimensions", [62, 63, 64])
def test_arrays_of_as_many_dimensions_as_numpy_allows_come_back(
    tmp_path: Path, dimensions: int
) -> None:
    samples = [Deep(np.full((1,) * dimensions, number, np.uint8)) for number in range(9)]
    url = write_shard(tmp_path / "deep.tar", samples)
    assert list(Dataset[Deep](url)) == samples
    assert [Deep.from_bytes(s.as_wds["msgpack"]) for s in Dataset(url)] == samples  # type: ignore[attr-defined]
    assert Dataset[Deep](url).to_arrow().num_rows == 9


def test_a_batch_of_arrays_says_that_it_would_take_one_dimension_too_many(tmp_path: Path) -> None:
    samples = [Deep(np.full((1,) * 64, number, np.uint8)) for number in range(9)]
    url = write_shard(tmp_path / "deep.tar", samples)
    batch = next(iter(Dataset[Deep](url).ordered(batch_size=4)))
    assert batch.samples == samples[:4]
    with pytest.raises(BatchError, match=r"'deep' cannot be stacked.*64 dimensions.*reshape"):
        _ = batch.deep
