"""Registering datasets: ``insert_dataset`` and ``add_entry``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tests.core.index.kinds import Note, PlainStore, Point, files, points

from atdata import Dataset, Index, LocalDiskStore, URLSource, load_dataset
from atdata.dataset import DatasetDict
from atdata.errors import EmptyDatasetError, InvalidNameError, SampleTypeError
from atdata.index.cids import entry_cid


@pytest.fixture
def ds(tmp_path: Path) -> Dataset[Point]:
    urls = LocalDiskStore(tmp_path / "given").write_shards(
        Dataset[Point](_written(tmp_path)), prefix="p", maxcount=2
    )
    return Dataset[Point](urls)


def _written(tmp_path: Path) -> str:
    index = Index(data_store=LocalDiskStore(tmp_path / "first"))
    return index.write(points(5), name="first").data_urls[0]


def test_without_a_store_the_urls_are_registered_as_they_are(
    tmp_path: Path, ds: Dataset[Point]
) -> None:
    index = Index(path=tmp_path / "index.db")
    entry = index.insert_dataset(ds, name="mine", prefix="unused", cache_local=True)
    assert entry.data_urls == [ds.url]
    assert files(tmp_path / "data") == []
    loaded = load_dataset("@local/mine", split="train", index=index)
    assert [s.label for s in loaded] == list(range(5))


def test_with_a_store_the_samples_are_written_there(index: Index, ds: Dataset[Point]) -> None:
    entry = index.insert_dataset(ds, name="mine", prefix="v1", maxcount=3, cache_local=True)
    assert entry.shards is not None
    assert [shard.count for shard in entry.shards] == [3, 2]
    assert all("/shards/v1/" in url for url in entry.data_urls)


def test_a_schema_reference_that_is_given_is_kept(
    index: Index, tmp_path: Path, ds: Dataset[Point]
) -> None:
    ref = "local://schemas/examples.Point@1.0.0"
    stored = index.insert_dataset(ds, name="mine", schema_ref=ref)
    assert stored.schema_ref == ref
    assert stored.shards is not None
    assert stored.content_cid is not None
    assert index.add_entry(ds, name="mine", schema_ref=ref).schema_ref == ref
    assert index.list_schemas() == []


@pytest.mark.parametrize("ref", ["", "my schema", "Point@v1", "atdata://local/dataset/points"])
def test_what_cannot_refer_to_a_schema_is_refused_before_anything_is_read(
    index: Index, tmp_path: Path, ds: Dataset[Point], ref: str
) -> None:
    for act in (index.write, index.insert_dataset, index.add_entry):
        with pytest.raises(InvalidNameError):
            act(ds, name="mine", schema_ref=ref)
    assert index.list_datasets() == []
    assert files(tmp_path / "shards") == []


def test_a_legacy_schema_reference_finds_the_schema(index: Index, ds: Dataset[Point]) -> None:
    index.publish_schema(Point, version="1.0.0")
    index.add_entry(ds, name="mine", schema_ref="local://schemas/examples.Point@1.0.0")
    loaded = load_dataset("@local/mine", split="train", index=index)
    assert [s.label for s in loaded] == list(range(5))


def test_a_pattern_is_kept_and_its_cid_is_that_of_earlier_releases(index: Index) -> None:
    entry = index.add_entry(Dataset[Point]("data-{000000..000009}.tar"), name="mine")
    assert entry.data_urls == ["data-{000000..000009}.tar"]
    assert entry.cid == entry_cid(entry.schema_ref, ["data-{000000..000009}.tar"])
    assert (entry.shards, entry.content_cid) == (None, None)


def test_a_store_with_the_three_documented_methods_gets_the_dataset_itself(
    tmp_path: Path, ds: Dataset[Point]
) -> None:
    store = PlainStore(tmp_path / "plain")
    index = Index(data_store=store)
    entry = index.insert_dataset(ds, name="mine", maxcount=2)
    assert store.options == {"maxcount": 2}
    assert len(entry.data_urls) == 3
    loaded = load_dataset("@local/mine", split="train", index=index)
    assert [s.label for s in loaded] == list(range(5))


def test_a_dataset_dict_keeps_its_splits(index: Index, ds: Dataset[Point]) -> None:
    splits = DatasetDict({"train": ds, "test": ds.take(2)})
    index.insert_dataset(splits, name="mine", metadata={"a": 1})
    loaded = load_dataset("@local/mine", index=index)
    assert {name: len(split) for name, split in loaded.items()} == {"train": 5, "test": 2}
    assert loaded["test"].metadata == {"a": 1}


def test_without_a_store_only_a_dataset_can_be_registered(ds: Dataset[Point]) -> None:
    several: list[Any] = [DatasetDict({"train": ds}), points(2)]
    for given in several:
        with pytest.raises(TypeError, match=rf"{type(given).__name__} .* index.write"):
            Index().insert_dataset(given, name="mine")


def test_metadata_is_that_of_the_dataset_unless_it_is_given(index: Index, tmp_path: Path) -> None:
    (tmp_path / "meta.msgpack").write_bytes(msgpack.packb({"source": "made up"}))
    ds = Dataset[Point](_written(tmp_path), metadata_url=str(tmp_path / "meta.msgpack"))
    for insert in (index.add_entry, index.insert_dataset):
        assert insert(ds, name="mine").metadata == {"source": "made up"}
        assert insert(ds, name="mine", metadata={"a": 1}).metadata == {"a": 1}
        assert insert(ds, name="mine", metadata={}).metadata == {}


def test_an_empty_dataset_cannot_be_stored(
    index: Index, ds: Dataset[Point], tmp_path: Path
) -> None:
    with pytest.raises(EmptyDatasetError):
        index.insert_dataset(ds.take(0), name="mine")
    assert files(tmp_path / "shards") == []


BAD_NAMES = ["", "../x", "/abs", "a/../b", "a\0b", "x" * 300, "\ud800", "a@1", "a:b", " a", "{a}"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_p1_a_bad_name_is_refused_everywhere_and_leaves_nothing(
    index: Index, ds: Dataset[Point], tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidNameError):
        index.write(points(1), name=name)
    with pytest.raises(InvalidNameError):
        index.insert_dataset(ds, name=name)
    with pytest.raises(InvalidNameError):
        index.add_entry(ds, name=name)
    assert index.list_datasets() == []
    assert index.list_schemas() == []
    assert files(tmp_path / "shards") == []


def test_datasets_copy_from_one_index_to_another(tmp_path: Path, ds: Dataset[Point]) -> None:
    source = Index(data_store=LocalDiskStore(tmp_path / "source"))
    target = Index(data_store=LocalDiskStore(tmp_path / "target"))
    source.insert_dataset(ds, name="mine")
    for entry in source.list_datasets():
        sample_type = source.decode_schema(entry.schema_ref)
        ref = target.publish_schema(sample_type)
        target.insert_dataset(
            Dataset(entry.data_urls[0], sample_type=sample_type), name=entry.name, schema_ref=ref
        )
    loaded = load_dataset("@local/mine", split="train", index=target)
    assert [s.label for s in loaded] == list(range(5))
    copied = dict(target.get_schema("Point")), dict(source.get_schema("Point"))
    assert json.dumps(copied[0]["fields"]) == json.dumps(copied[1]["fields"])


def test_sources_are_made_by_the_store_or_of_urls_it_resolves(
    tmp_path: Path, ds: Dataset[Point]
) -> None:
    urls = ds.list_shards()
    own = Index(data_store=LocalDiskStore(tmp_path / "own"))
    plain = Index(data_store=PlainStore(tmp_path / "plain"))
    for index, given in ((own, urls), (plain, [f"plain:{url}" for url in urls]), (Index(), urls)):
        source = index.create_source(given)
        assert source.list_shards() == source.shard_list == urls
        assert [name for name, _ in source.shards] == [name for name, _ in source.shards()] == urls


def test_the_type_of_a_note_is_published_with_its_dataset(index: Index) -> None:
    index.add_entry(Dataset[Note]("a.tar"), name="mine")
    assert index.get_schema("Note")["version"] == "1.0.0"


def test_only_what_lies_in_the_shards_can_be_registered_without_writing(
    index: Index, ds: Dataset[Point]
) -> None:
    with pytest.raises(SampleTypeError, match=r"index\.write\(\)"):
        index.add_entry(ds.filter(bool), name="mine")
    assert index.list_datasets() == []
    assert len(load_dataset_of(index, ds.take(2))) == 2


def load_dataset_of(index: Index, ds: Dataset[Point]) -> list[Point]:
    index.write(ds, name="mine")
    return list(load_dataset("@local/mine", split="train", index=index))


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@h/x.tar",
        "https://h/x.tar?X-Amz-Expires=3600&X-Amz-Signature=hunter2",
        "https://h/x.tar?Expires=1&Signature=hunter2",
        "https://h/x.tar?access_token=hunter2",
    ],
)
def test_c2_a_url_with_credentials_is_not_registered(index: Index, url: str) -> None:
    with pytest.raises(InvalidNameError, match="holds credentials") as caught:
        index.add_entry(Dataset[Point](url), name="mine")
    assert "hunter2" not in str(caught.value)
    assert index.list_datasets() == []


def test_shards_whose_urls_are_no_pattern_are_registered_one_by_one(index: Index) -> None:
    urls = ["a,b.tar", "c.tar"]
    assert index.add_entry(Dataset[Point](URLSource(urls)), name="mine").data_urls == urls
