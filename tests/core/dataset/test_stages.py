"""Stages apply in the order they were written, like the same steps on a plain list."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shard_files import BytesSource, registered, shard_bytes

from atdata import Dataset, DictSample, Lens, lens, packable
from atdata.errors import BatchError


@packable
class Pair:
    a: int
    b: int


@packable
class Swapped:
    a: int
    b: int


@lens
def swap(pair: Pair) -> Swapped:
    return Swapped(a=pair.b, b=pair.a)


@lens
def swap_back(pair: Swapped) -> Pair:
    return Pair(a=pair.b, b=pair.a)


Step = tuple[str, int]
Rows = list[dict[str, int]]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["filter", "map", "to_dict", "take", "select", "as_type"]),
        st.integers(0, 60),
    ),
    max_size=6,
)


def _read(sample: Any, name: str) -> int:
    return int(sample[name] if isinstance(sample, dict | DictSample) else getattr(sample, name))


def _keep(divisor: int, sample: Any) -> bool:
    return _read(sample, "a") % divisor != 0


def _add(number: int, sample: Any) -> Any:
    return Pair(_read(sample, "a") + number, _read(sample, "b") * 2)


def _dict(number: int, sample: Any) -> dict[str, int]:
    return {"a": _read(sample, "a"), "b": _read(sample, "b") - number}


def _on_dataset(ds: Dataset[Any], step: Step) -> Dataset[Any]:
    kind, number = step
    if kind == "filter":
        return ds.filter(functools.partial(_keep, number % 5 + 2))
    if kind == "map":
        return ds.map(functools.partial(_add, number), Pair)
    if kind == "to_dict":
        return ds.map(functools.partial(_dict, number), DictSample)
    if kind == "take":
        return ds.take(number)
    if kind == "select":
        return ds.select("b", "a")
    return ds.as_type(Swapped if ds.sample_type is Pair else Pair)


def _on_list(rows: Rows, step: Step, *, is_pair: bool) -> Rows:
    kind, number = step
    if kind == "filter":
        return [row for row in rows if row["a"] % (number % 5 + 2) != 0]
    if kind == "map":
        return [{"a": row["a"] + number, "b": row["b"] * 2} for row in rows]
    if kind == "to_dict":
        return [{"a": row["a"], "b": row["b"] - number} for row in rows]
    if kind == "take":
        return rows[:number]
    if kind == "select":
        return rows
    return [{"a": row["b"], "b": row["a"]} for row in rows] if is_pair else rows


def _applied(steps: list[Step]) -> tuple[Dataset[Any], Rows]:
    """Apply steps to a dataset of three shards and to a list, leaving out views without a lens."""
    rows = [{"a": number, "b": 100 - number} for number in range(50)]
    shards = {
        f"{n}": shard_bytes(Pair(**row) for row in rows[n * 17 : n * 17 + 17]) for n in range(3)
    }
    ds: Dataset[Any] = Dataset[Pair](BytesSource(shards))
    for step in steps:
        kind = ds.sample_type
        if step[0] == "as_type" and kind not in (Pair, Swapped):
            continue
        rows = _on_list(rows, step, is_pair=kind in (Pair, Swapped))
        ds = _on_dataset(ds, step)
    return ds, rows


def _as_row(sample: Any) -> dict[str, int]:
    return {name: _read(sample, name) for name in ("a", "b")}


@settings(max_examples=150)
@given(STEPS, st.integers(1, 60))
def test_any_stages_give_what_list_operations_give(steps: list[Step], size: int) -> None:
    ds, rows = _applied(steps)
    assert [_as_row(sample) for sample in ds] == rows
    assert [_as_row(sample) for sample in ds.ordered()] == rows
    batches = list(ds.ordered(batch_size=size))
    assert [_as_row(sample) for batch in batches for sample in batch] == rows
    assert [a for batch in batches for a in batch.a] == [row["a"] for row in rows]
    assert [len(batch) for batch in batches[:-1]] == [size] * max(0, len(batches) - 1)


@settings(max_examples=60)
@given(STEPS, st.integers(1, 60))
def test_any_stages_shuffled_give_the_same_samples(steps: list[Step], size: int) -> None:
    ds, rows = _applied(steps)
    expected = sorted(tuple(row.values()) for row in rows)
    alone = [_as_row(sample) for sample in ds.shuffled(seed=1)]
    assert sorted(tuple(row.values()) for row in alone) == expected
    batches = [
        _as_row(sample) for batch in ds.shuffled(seed=1, batch_size=size) for sample in batch
    ]
    assert sorted(tuple(row.values()) for row in batches) == expected


@settings(max_examples=40)
@given(STEPS)
def test_any_stages_have_the_length_that_is_claimed(steps: list[Step]) -> None:
    ds, rows = _applied(steps)
    known = registered(
        {name: (b"", count) for name, count in zip("012", (17, 17, 16), strict=True)}
    )
    counted = Dataset[Pair](ds.source).with_info(registered=known)
    for step in steps:
        if step[0] != "as_type" or counted.sample_type in (Pair, Swapped):
            counted = _on_dataset(counted, step)
    try:
        assert len(counted) == len(rows)
    except TypeError:
        assert any(kind == "filter" for kind, _ in steps)


def test_a_stage_added_later_does_not_reach_what_was_made_before() -> None:
    ds, _ = _applied([])
    first = ds.filter(lambda pair: pair.a < 10)
    second = first.map(lambda pair: Pair(pair.a * 10, pair.b))
    assert [pair.a for pair in first] == list(range(10))
    assert [pair.a for pair in second] == list(range(0, 100, 10))


def test_errors_of_the_users_functions_are_theirs() -> None:
    ds, _ = _applied([])

    def fail(_: Pair) -> Pair:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        list(ds.map(fail).ordered(batch_size=3))


def test_stop_iteration_in_a_users_function_never_shortens_the_dataset() -> None:
    ds, _ = _applied([])

    def stop(pair: Pair) -> Pair:
        if pair.a == 5:
            raise StopIteration
        return pair

    for batch_size in (None, 4):
        with pytest.raises(RuntimeError):
            list(ds.map(stop).ordered(batch_size=batch_size))


def test_dicts_batch_as_dict_samples() -> None:
    ds, _ = _applied([])
    batch = next(iter(ds.map(lambda pair: {"total": pair.a + pair.b}).ordered(batch_size=4)))
    assert batch.total == [100] * 4
    assert isinstance(batch.samples[0], DictSample)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_dicts_made_of_untyped_samples_are_viewed_as_a_type(batch_size: int | None) -> None:
    pairs, _ = _applied([])
    ds: Dataset[Any] = pairs.map(lambda pair: {"a": pair.b, "b": pair.a}, DictSample)
    assert ds.column_names == ["a", "b"]
    found: list[Any] = list(ds.as_type(Pair).ordered(batch_size=batch_size))
    samples = found if batch_size is None else [s for batch in found for s in batch.samples]
    assert samples == [Pair(pair.b, pair.a) for pair in pairs]


@pytest.mark.parametrize("value", [5, "x", None, (1, 2), [1]])
def test_what_has_no_fields_cannot_be_batched(value: Any) -> None:
    ds, _ = _applied([])
    mapped = ds.map(lambda _: value)
    assert next(iter(mapped)) == value
    with pytest.raises(BatchError, match=type(value).__name__):
        list(mapped.ordered(batch_size=2))


def test_the_same_view_twice_there_and_back_is_the_identity() -> None:
    ds, rows = _applied([("as_type", 0), ("as_type", 0)])
    assert ds.sample_type is Pair
    assert [_as_row(pair) for pair in ds] == rows


def test_take_stops_reading_early() -> None:
    seen: list[int] = []

    def note(pair: Pair) -> Pair:
        seen.append(pair.a)
        return pair

    ds, _ = _applied([])
    assert len(list(ds.map(note).take(3))) == 3
    assert seen == [0, 1, 2]


def test_a_lens_is_a_stage_like_any_other() -> None:
    assert isinstance(swap, Lens)
    getter: Callable[[Pair], Swapped] = swap.get
    ds, _ = _applied([])
    assert [s.a for s in ds.as_type(Swapped).take(2)] == [getter(pair).a for pair in ds.take(2)]
