"""Writing datasets through an index."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.index.kinds import CountingProvider, Note, PlainStore, Point, files, notes, points

from atdata import Dataset, DictSample, Index, LocalDiskStore, load_dataset
from atdata.errors import (
    AtdataError,
    EmptyDatasetError,
    FieldError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)


def test_samples_come_back_in_order_with_their_type(index: Index) -> None:
    entry = index.write(points(7), name="mine", metadata={"source": "made up"})
    ds = load_dataset("@local/mine", split="train", index=index)
    assert [s.label for s in ds] == list(range(7))
    assert ds.sample_type is index.decode_schema(entry.schema_ref)
    assert ds.metadata == {"source": "made up"}
    assert len(ds) == 7


def test_an_entry_knows_each_of_its_shards(index: Index) -> None:
    entry = index.write(points(7), name="mine", maxcount=3)
    assert entry.shards is not None
    assert [shard.count for shard in entry.shards] == [3, 3, 1]
    assert [shard.url for shard in entry.shards] == entry.data_urls
    assert [shard.bytes for shard in entry.shards] == [
        Path(url).stat().st_size for url in entry.data_urls
    ]


def test_an_entry_says_when_it_was_stored(index: Index) -> None:
    before = datetime.now(UTC)
    entry = index.write(notes("a"), name="mine")
    assert entry.created_at is not None
    assert before <= datetime.fromisoformat(entry.created_at) <= datetime.now(UTC)


def test_maxsize_begins_new_shards(index: Index) -> None:
    samples = [Note(text="x" * 2000) for _ in range(20)]
    entry = index.write(samples, name="mine", maxsize=10_000)
    assert entry.shards is not None
    assert len(entry.shards) == 5
    assert sum(shard.count for shard in entry.shards) == 20
    assert all(shard.bytes < 15_000 for shard in entry.shards)


def test_an_unknown_option_is_a_type_error_before_anything_is_read(index: Index) -> None:
    def never() -> Iterator[Note]:
        raise AssertionError
        yield

    with pytest.raises(TypeError, match="maxcunt"):
        index.write(never(), name="mine", maxcunt=3)


def test_samples_are_streamed(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Note] = weakref.WeakSet()
    most = 0

    class Tracked(Note):
        __hash__ = object.__hash__

    def stream() -> Iterator[Note]:
        nonlocal most
        for i in range(5000):
            sample = Tracked(text=str(i))
            alive.add(sample)
            most = max(most, len(alive))
            yield sample

    index = Index(data_store=LocalDiskStore(tmp_path))
    index.write(stream(), name="mine", maxcount=1000)
    assert most < 10


@pytest.mark.parametrize("make", [list, tuple, iter, lambda s: (x for x in s)])
def test_any_iterable_is_written(index: Index, make: Any) -> None:
    assert index.write(make(notes("a", "b")), name="mine").shards[0].count == 2  # type: ignore[index]


def test_a_mapping_is_written_as_splits(index: Index) -> None:
    entry = index.write({"train": points(5), "test": points(2)}, name="mine", maxcount=2)
    loaded = load_dataset("@local/mine", index=index)
    assert {name: len(ds) for name, ds in loaded.items()} == {"train": 5, "test": 2}
    assert entry.shards is not None
    assert [shard.split for shard in entry.shards] == ["train"] * 3 + ["test"]
    test = load_dataset("@local/mine", split="test", index=index)
    assert [s.label for s in test] == [0, 1]


def test_splits_of_any_name_are_kept_apart(index: Index) -> None:
    index.write({"fold a": points(1), "fold/b": points(2)}, name="mine")
    loaded = load_dataset("@local/mine", index=index)
    assert {name: len(ds) for name, ds in loaded.items()} == {"fold a": 1, "fold/b": 2}


@pytest.mark.parametrize("split", ["../x", "a\0b", "", "x" * 300])
def test_p1_a_bad_split_name_is_refused_and_leaves_nothing(
    index: Index, tmp_path: Path, split: str
) -> None:
    with pytest.raises(InvalidNameError):
        index.write({"train": points(1), split: points(1)}, name="mine")
    assert files(tmp_path / "shards") == []
    assert index.list_datasets() == []


def test_a_split_is_named_by_text(index: Index) -> None:
    with pytest.raises(TypeError, match="1 cannot name a dataset or split"):
        index.write({1: points(1)}, name="mine")


def test_splits_hold_samples_of_one_type(index: Index, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="Note and Point"):
        index.write({"train": points(1), "test": notes("a")}, name="mine")
    assert files(tmp_path / "shards") == []


def test_shards_lie_below_a_prefix(index: Index, tmp_path: Path) -> None:
    own = index.write(notes("a"), name="team/mine")
    chosen = index.write(notes("a"), name="team/mine", prefix="v1/here")
    root = tmp_path / "shards"
    assert Path(own.data_urls[0]).parent == root / "team" / "mine"
    assert Path(chosen.data_urls[0]).parent == root / "v1" / "here"


@pytest.mark.parametrize("prefix", ["../x", "/etc", "a/../../b", "a\0b"])
def test_p1_a_prefix_never_leads_out_of_the_store(
    index: Index, tmp_path: Path, prefix: str
) -> None:
    with pytest.raises(InvalidNameError):
        index.write(notes("a"), name="mine", prefix=prefix)
    assert files(tmp_path / "shards") == []


@pytest.mark.parametrize("empty", [[], {}, {"train": [], "test": []}, {"train": iter(())}])
def test_w6_nothing_to_write_is_an_error(index: Index, tmp_path: Path, empty: Any) -> None:
    with pytest.raises(EmptyDatasetError):
        index.write(empty, name="mine")
    assert files(tmp_path / "shards") == []
    assert index.list_schemas() == []


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("good", range(8))
def test_w2_an_iterator_that_raises_leaves_nothing(index: Index, tmp_path: Path, good: int) -> None:
    def broken() -> Iterator[Point]:
        yield from points(good)
        raise BrokenError

    with pytest.raises(BrokenError):
        index.write({"train": points(2), "test": broken()}, name="mine", maxcount=2)
    assert files(tmp_path / "shards") == []
    assert index.list_schemas() == []
    with pytest.raises(NotFoundError):
        index.get_dataset("mine")


def test_w2_a_failed_write_leaves_the_revision_before_untouched(index: Index) -> None:
    first = index.write(notes("a"), name="mine")
    with pytest.raises(FieldError):
        index.write([Note(text="b"), Note(text=5)], name="mine")  # type: ignore[arg-type]
    assert index.get_dataset("mine") == first
    assert [s.text for s in load_dataset("@local/mine", split="train", index=index)] == ["a"]


@pytest.mark.parametrize("sample", ["text", b"bytes", 5, None, {"text": "a"}])
def test_what_is_no_sample_is_refused(index: Index, tmp_path: Path, sample: object) -> None:
    with pytest.raises(FieldError):
        index.write([sample], name="mine")
    assert files(tmp_path / "shards") == []


def test_samples_of_two_types_are_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="Point"):
        index.write([*notes("a"), *points(1)], name="mine")
    assert files(tmp_path / "shards") == []


BAD_METADATA: list[tuple[Any, str]] = [
    ({"a": float("nan")}, "nan"),
    ({"a": [1, {"b": float("inf")}]}, r"metadata\['a'\]\[1\]\['b'\]"),
    ({"a": b"bytes"}, "bytes"),
    ({"a": object()}, "object"),
    ({"a": {1, 2}}, "set"),
    ({1: "a"}, "key of type int"),
    ({"a": "x\0y"}, "NUL"),
    ({"a": "\ud800"}, "surrogate"),
    ({"\ud800": 1}, "surrogate"),
    ({"a": 2**64}, "64 bits"),
    ({"a": 10**5000}, "64 bits"),
    ({"a": np.zeros(3)}, "ndarray"),
    ({"a": np.datetime64("2020-01-01")}, "date"),
    (["no dict"], "list"),
    ("text", "str"),
]


@pytest.mark.parametrize(("metadata", "named"), BAD_METADATA)
def test_metadata_that_is_not_json_is_refused_before_anything_is_read(
    index: Index, tmp_path: Path, metadata: Any, named: str
) -> None:
    def never() -> Iterator[Note]:
        raise AssertionError
        yield

    ds = Dataset[Note](str(tmp_path / "absent.tar"))
    with pytest.raises(FieldError, match=named):
        index.write(never(), name="mine", metadata=metadata)
    with pytest.raises(FieldError, match=named):
        index.add_entry(ds, name="mine", metadata=metadata)
    with pytest.raises(FieldError, match=named):
        index.publish_schema(Note, metadata=metadata)
    assert index.list_schemas() == []


def test_metadata_nested_too_deeply_is_refused(index: Index) -> None:
    deep: dict[str, Any] = {}
    deep["itself"] = deep
    with pytest.raises(FieldError, match="nested"):
        index.write(notes("a"), name="mine", metadata=deep)


def test_numpy_scalars_in_metadata_become_numbers_and_tuples_lists(index: Index) -> None:
    metadata = {
        "mean": np.float32(0.5),
        "count": np.int64(7),
        "flag": np.bool_(True),
        "unit": np.str_("m"),
        "shape": (1, 2),
    }
    entry = index.write(notes("a"), name="mine", metadata=metadata)
    expected = {"mean": 0.5, "count": 7, "flag": True, "unit": "m", "shape": [1, 2]}
    assert entry.metadata == expected
    assert index.get_dataset("mine").metadata == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text("abcé "), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc\"'\\ü"), JSON, max_size=5))
def test_any_json_metadata_comes_back_as_it_was(metadata: dict[str, Any]) -> None:
    with Index() as index:
        index.add_entry(Dataset[Note]("a.tar"), name="mine", metadata=metadata)
        assert index.get_dataset("mine").metadata == metadata
        index.publish_schema(Note, version="2.0.0", metadata=metadata)
        assert index.get_schema_record("Note@2.0.0").metadata == metadata


def test_an_entry_does_not_change_with_the_metadata_it_was_given(index: Index) -> None:
    metadata = {"tags": ["a"]}
    entry = index.write(notes("a"), name="mine", metadata=metadata)
    metadata["tags"].append("b")
    assert entry.metadata == {"tags": ["a"]}


def test_untyped_samples_are_written_and_read_as_such(index: Index) -> None:
    entry = index.write([DictSample(a=1, b="x")], name="mine")
    (sample,) = load_dataset("@local/mine", split="train", index=index)
    assert isinstance(sample, DictSample)
    assert (sample.a, sample.b) == (1, "x")
    assert index.get_schema(entry.schema_ref)["fields"] == []


def test_the_same_samples_have_one_content_cid_wherever_they_lie(tmp_path: Path) -> None:
    here = Index(data_store=LocalDiskStore(tmp_path / "here"))
    there = Index(data_store=LocalDiskStore(tmp_path / "there"))
    there.publish_schema(Point, version="3.0.0")
    first, second = (index.write(points(9), name="mine", maxcount=4) for index in (here, there))
    assert first.content_cid == second.content_cid
    assert first.cid != second.cid
    assert here.write(points(8), name="mine", maxcount=4).content_cid != first.content_cid


def test_a_dataset_is_written_as_its_stages_leave_it(index: Index) -> None:
    index.write(points(6), name="all")
    ds = load_dataset("@local/all", split="train", index=index)
    index.write(ds.filter(lambda s: s.label % 2), name="odd")
    odd = load_dataset("@local/odd", split="train", index=index)
    assert [s.label for s in odd] == [1, 3, 5]


def test_a_commit_that_fails_leaves_no_shard(tmp_path: Path) -> None:
    provider = CountingProvider()
    provider.fails_before = StorageError("the database is gone")
    index = Index(provider=provider, data_store=LocalDiskStore(tmp_path))
    with pytest.raises(StorageError, match="gone"):
        index.write(notes("a"), name="mine")
    assert files(tmp_path) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), StorageError("the answer was lost")])
def test_a_failure_after_the_commit_leaves_the_shards(
    tmp_path: Path, failure: BaseException
) -> None:
    provider = CountingProvider()
    provider.fails_after = failure
    index = Index(provider=provider, data_store=LocalDiskStore(tmp_path))
    with pytest.raises(type(failure)):
        index.write(notes("a"), name="mine")
    assert [s.text for s in load_dataset("@local/mine", split="train", index=index)] == ["a"]


def test_a_commit_that_takes_place_late_keeps_its_shards(tmp_path: Path) -> None:
    provider = CountingProvider()
    provider.fails_before = StorageError("the answer was lost")
    provider.is_late = True
    index = Index(provider=provider, data_store=LocalDiskStore(tmp_path))
    with pytest.raises(StorageError, match="answer"):
        index.write(notes("a"), name="mine")
    assert [s.text for s in load_dataset("@local/mine", split="train", index=index)] == ["a"]


def test_shards_stay_while_nobody_can_tell_whether_they_are_registered(tmp_path: Path) -> None:
    provider = CountingProvider()
    provider.fails_before = StorageError("the database is gone")
    provider.stays_away = True
    index = Index(provider=provider, data_store=LocalDiskStore(tmp_path))
    with pytest.raises(StorageError, match="gone"):
        index.write(notes("a"), name="mine")
    assert len(files(tmp_path)) == 1


def test_a_prefix_may_be_written_like_a_folder(tmp_path: Path) -> None:
    index = Index(data_store=LocalDiskStore(tmp_path))
    entry = index.write(notes("a"), name="mine", prefix="training/")
    assert Path(entry.data_urls[0]).parent == tmp_path / "training"


def test_a_store_with_the_three_documented_methods_is_enough(tmp_path: Path) -> None:
    store = PlainStore(tmp_path / "plain")
    index = Index(data_store=store)
    entry = index.write({"train": points(3), "test": points(2)}, name="mine", maxcount=2, extra=1)
    assert store.options == {"maxcount": 2, "extra": 1}
    assert len(entry.data_urls) == 3
    assert all(url.startswith("plain:") for url in entry.data_urls)
    assert (entry.shards, entry.content_cid) == (None, None)
    loaded = load_dataset("@local/mine", index=index)
    assert {name: [s.label for s in ds] for name, ds in loaded.items()} == {
        "train": [0, 1, 2],
        "test": [0, 1],
    }


def test_a_failed_write_through_such_a_store_registers_nothing(tmp_path: Path) -> None:
    provider = CountingProvider()
    provider.fails_before = StorageError("the database is gone")
    index = Index(provider=provider, data_store=PlainStore(tmp_path))
    with pytest.raises(AtdataError):
        index.write(notes("a"), name="mine")
    assert index.list_datasets() == []
