"""``load_dataset``: files, folders, patterns and names, and which split each file belongs to."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, Label, items
from tests.shard_files import write_shard, write_with_webdataset

from atdata import (
    Dataset,
    DatasetDict,
    DictSample,
    Index,
    LocalDiskStore,
    load_dataset,
    set_default_index,
)
from atdata.errors import NoDataFilesError, NotFoundError, SplitNotFoundError


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(provider="memory", data_store=LocalDiskStore(tmp_path / "store")) as index:
        yield index


def write_files(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        write_shard(root / name, items(2, start=2 * number))


def shards(found: Any, root: Path) -> dict[str, list[str]]:
    return {
        split: [str(Path(shard).relative_to(root)) for shard in ds.list_shards()]
        for split, ds in found.items()
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000.tar", "train"),
        ("training-000.tar", "train"),
        ("test-000.tar", "test"),
        ("testing-000.tar", "test"),
        ("val-000.tar", "validation"),
        ("valid-000.tar", "validation"),
        ("validation-000.tar", "validation"),
        ("dev-000.tar", "validation"),
        ("development-000.tar", "validation"),
        ("train/000.tar", "train"),
        ("test/000.tar", "test"),
        ("training/000.tar", "train"),
        ("validation/000.tar", "validation"),
        ("dev/000.tar", "validation"),
        ("Test/000.tar", "test"),
        ("000.tar", "train"),
        ("data-000.tar", "train"),
        ("data-test-000.tar", "test"),
        ("data_val_000.tar", "validation"),
        ("data.test.tar", "test"),
        ("TEST-000.tar", "test"),
        ("test.tar", "test"),
        ("test000.tar", "test"),
        ("contest-000.tar", "train"),
        ("latest-000.tar", "train"),
        ("trainer/000.tar", "train"),
        ("deep/er/test/a/000.tar", "test"),
        ("test/train-000.tar", "train"),
        ("train/test/000.tar", "test"),
    ],
)
def test_the_split_of_a_file_is_in_its_name_or_nearest_folder(
    name: str, split: str, tmp_path: Path
) -> None:
    write_files(tmp_path, name)
    assert shards(load_dataset(str(tmp_path), Item), tmp_path) == {split: [name]}
    assert list(load_dataset(str(tmp_path), Item, split=split)) == items(2)


def test_a_folder_is_scanned_and_split(tmp_path: Path) -> None:
    names = [
        "train-001.tar",
        "train-000.tar",
        "test-000.tar",
        "val/a.tar",
        "val/b.tar",
        "notes.txt",
    ]
    write_files(tmp_path, *names)
    found = load_dataset(f"{tmp_path}/", Item)
    assert isinstance(found, DatasetDict)
    assert shards(found, tmp_path) == {
        "test": ["test-000.tar"],
        "train": ["train-000.tar", "train-001.tar"],
        "validation": ["val/a.tar", "val/b.tar"],
    }
    assert found.num_shards == {"test": 1, "train": 2, "validation": 2}


def test_folders_above_say_nothing_of_the_split(tmp_path: Path) -> None:
    root = tmp_path / "test" / "validation"
    write_files(root, "data-000.tar", "nested/data-001.tar")
    assert list(load_dataset(str(root), Item)) == ["train"]


def test_a_folder_is_the_same_with_a_tilde_or_as_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_files(tmp_path, "test/data/a.tar")
    assert list(load_dataset("~/test/data", Item)) == ["train"]
    assert list(load_dataset(f"file://{tmp_path}/test/data", Item)) == ["train"]
    assert list(load_dataset(tmp_path / "test/data", Item)) == ["train"]


def test_hidden_folders_are_not_data(tmp_path: Path) -> None:
    write_files(tmp_path, "a.tar", ".spool/b.tar")
    assert shards(load_dataset(str(tmp_path), Item), tmp_path) == {"train": ["a.tar"]}


def test_a_single_file_is_its_own_split(tmp_path: Path) -> None:
    write_files(tmp_path, "test-000.tar", "other.tar")
    assert list(load_dataset(str(tmp_path / "test-000.tar"), Item, split="test")) == items(2)
    assert list(load_dataset(str(tmp_path / "other.tar"), Item)) == ["train"]


def test_wildcards_are_matched_in_order(tmp_path: Path) -> None:
    write_files(tmp_path, "train-1.tar", "train-0.tar", "test-0.tar", "sub/train-2.tar")
    train = load_dataset(f"{tmp_path}/train-*.tar", Item, split="train")
    assert train.list_shards() == [f"{tmp_path}/train-0.tar", f"{tmp_path}/train-1.tar"]
    assert set(load_dataset(f"{tmp_path}/*.tar", Item)) == {"train", "test"}
    assert load_dataset(f"{tmp_path}/**/*.tar", Item).num_shards == {"test": 1, "train": 3}
    assert load_dataset(f"{tmp_path}/train-[0-9].tar", Item).num_shards == {"train": 2}


def test_wildcards_in_folders_say_the_split(tmp_path: Path) -> None:
    write_files(tmp_path, "train/a.tar", "test/a.tar")
    assert set(load_dataset(f"{tmp_path}/*/a.tar", Item)) == {"train", "test"}
    assert list(load_dataset(f"{tmp_path}/test/*.tar", Item)) == ["test"]


def test_braces_are_expanded_and_split(tmp_path: Path) -> None:
    write_files(tmp_path, "data-train.tar", "data-test.tar", "data-val.tar")
    found = load_dataset(f"{tmp_path}/data-{{train,test,val}}.tar", Item)
    assert shards(found, tmp_path) == {
        "train": ["data-train.tar"],
        "test": ["data-test.tar"],
        "validation": ["data-val.tar"],
    }
    write_files(tmp_path, "train/0.tar", "train/1.tar", "test/0.tar", "test/1.tar")
    found = load_dataset(f"{tmp_path}/{{train,test}}/{{0..1}}.tar", Item)
    assert found.num_shards == {"train": 2, "test": 2}


def test_names_with_special_characters_are_found(tmp_path: Path) -> None:
    write_files(tmp_path / "odd [1]* dir", "train-0.tar", "we ird.tar")
    assert load_dataset(str(tmp_path / "odd [1]* dir"), Item).num_shards == {"train": 2}
    assert list(load_dataset(f"{tmp_path}/odd [1]* dir/train-0.tar", Item)["train"]) == items(2)


@pytest.mark.parametrize(
    ("data_files", "expected"),
    [
        ("custom-*.tar", {"train": ["custom-0.tar", "custom-1.tar"]}),
        (["test-a.tar", "custom-0.tar"], {"train": ["test-a.tar", "custom-0.tar"]}),
        (
            {"train": "custom-*.tar", "test": "test-a.tar", "extra": ["sub/b.tar", "test-a.tar"]},
            {
                "train": ["custom-0.tar", "custom-1.tar"],
                "test": ["test-a.tar"],
                "extra": ["sub/b.tar", "test-a.tar"],
            },
        ),
        (["custom-*.tar", "custom-1.tar"], {"train": ["custom-0.tar", "custom-1.tar"]}),
        ("custom-{1,0}.tar", {"train": ["custom-1.tar", "custom-0.tar"]}),
    ],
)
def test_data_files_replace_what_would_be_found(
    data_files: Any, expected: dict[str, list[str]], tmp_path: Path
) -> None:
    write_files(tmp_path, "custom-0.tar", "custom-1.tar", "test-a.tar", "sub/b.tar")
    found = load_dataset(str(tmp_path), Item, data_files=data_files)
    assert shards(found, tmp_path) == expected


def test_data_files_may_be_elsewhere(tmp_path: Path) -> None:
    write_files(tmp_path, "a.tar")
    found = load_dataset("other", Item, data_files=[f"{tmp_path}/a.tar"], split="train")
    assert list(found) == items(2)
    found = load_dataset("other", Item, data_files=f"file://{tmp_path}/a.tar", split="train")
    assert list(found) == items(2)


@pytest.mark.parametrize(
    "path", ["", "nothing.tar", "nothing/", "*.tar", "empty", "empty/*.tar", "{n,b}othing.tar"]
)
def test_nothing_there_is_a_file_not_found_error(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(path, Item, split="train")
    assert isinstance(caught.value, NoDataFilesError)
    assert re.search(r"at .*(nothing|\*\.tar|empty)", str(caught.value))


@pytest.mark.parametrize(
    "data_files", ["x-*.tar", ["a.tar", "x.tar"], {"train": "x.tar"}, [], {}, {"a": []}]
)
def test_data_files_that_are_not_there_are_an_error(data_files: Any, tmp_path: Path) -> None:
    write_files(tmp_path, "a.tar")
    with pytest.raises(NoDataFilesError):
        load_dataset(str(tmp_path), Item, data_files=data_files)


def test_an_unknown_split_is_a_value_error_that_lists_the_others(tmp_path: Path) -> None:
    write_files(tmp_path, "train-0.tar", "test-0.tar")
    with pytest.raises(ValueError, match=r"Split 'nope' not found.*'train', 'test'") as caught:
        load_dataset(str(tmp_path), Item, split="nope")
    assert isinstance(caught.value, SplitNotFoundError)
    assert caught.value.details["available"] == ["train", "test"]
    with pytest.raises(KeyError, match=r"Split 'nope' not found.*'train', 'test'"):
        load_dataset(str(tmp_path), Item)["nope"]


def test_without_a_type_samples_are_dict_samples(tmp_path: Path) -> None:
    write_files(tmp_path, "train-0.tar")
    ds = load_dataset(str(tmp_path), split="train")
    assert ds.sample_type is DictSample
    assert ds.head(1)[0]["text"] == "text 0"
    assert list(ds.as_type(Item)) == items(2)
    assert load_dataset(str(tmp_path)).sample_type is DictSample


def test_the_documented_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        write_with_webdataset(Path(f"{split}-000.tar"), items(20))
    found = load_dataset("./", Item)
    assert set(found.keys()) == {"train", "test"}
    batches = list(found["train"].ordered(batch_size=16))
    assert [batch.values.shape for batch in batches] == [(16, 4), (4, 4)]


def test_a_dataset_dict_tells_what_it_holds(tmp_path: Path) -> None:
    write_files(tmp_path, "train-0.tar", "test-0.tar")
    found = load_dataset(str(tmp_path), Item, streaming=True)
    assert found.sample_type is Item
    assert found.streaming is True
    assert load_dataset(str(tmp_path), Item).streaming is False
    assert {name: len(ds.shard_list) for name, ds in found.items()} == found.num_shards
    assert repr(found).startswith("DatasetDict({'train': Dataset[Item](")
    assert pickle.loads(pickle.dumps(found)).num_shards == found.num_shards


def test_a_dataset_dict_is_made_by_hand(tmp_path: Path) -> None:
    ds = Dataset[Item](write_shard(tmp_path / "a.tar", items(2)))
    found = DatasetDict({"mine": ds}, Item)
    assert found["mine"] is ds
    assert DatasetDict().sample_type is None
    assert DatasetDict({"mine": ds}).sample_type is Item
    assert len(DatasetDict()) == 0
    with pytest.raises(KeyError):
        found["other"]


def test_a_single_split_is_read_without_naming_it(tmp_path: Path) -> None:
    write_files(tmp_path, "a.tar")
    found = load_dataset(str(tmp_path), Item)
    assert list(found.ordered()) == items(2)
    assert [len(batch) for batch in found.ordered(batch_size=2)] == [2]
    assert [len(batch) for batch in found.shuffled(batch_size=1, seed=1)] == [1, 1]
    assert list(found.as_type(Label)) == [Label("text 0"), Label("text 1")]
    assert found.list_shards() == [str(tmp_path / "a.tar")]


@pytest.mark.parametrize("method", ["ordered", "shuffled", "as_type", "list_shards"])
def test_of_several_splits_one_must_be_named(method: str, tmp_path: Path) -> None:
    write_files(tmp_path, "train-0.tar", "test-0.tar")
    found = load_dataset(str(tmp_path), Item)
    arguments = [Label] if method == "as_type" else []
    with pytest.raises(SplitNotFoundError, match=rf"{method}\(\).*train, test.*ds\['train'\]"):
        getattr(found, method)(*arguments)
    with pytest.raises(SplitNotFoundError, match="none"):
        getattr(DatasetDict(), method)(*arguments)


def test_a_name_in_an_index_is_loaded_with_its_type(index: Index) -> None:
    index.write(items(5), name="mine")
    ds = load_dataset("@local/mine", index=index, split="train")
    assert ds.sample_type.__name__ == "Item"
    assert [sample.number for sample in ds] == list(range(5))
    assert len(ds) == 5
    assert list(load_dataset("@local/mine", Item, index=index, split="train")) == items(5)
    assert list(load_dataset("@local/mine", Item, index=index)) == ["train"]


@pytest.mark.parametrize("name", ["test", "validation", "my-test-set", "dev"])
def test_a_datasets_name_is_no_split(name: str, index: Index) -> None:
    index.write(items(5), name=name, maxcount=2)
    assert list(load_dataset(f"@local/{name}", Item, index=index)) == ["train"]
    assert list(load_dataset(f"@local/{name}", Item, index=index, split="train")) == items(5)


def test_the_splits_of_a_written_dataset_come_back(index: Index) -> None:
    index.write({"train": items(5), "test": items(3)}, name="both")
    found = load_dataset("@local/both", Item, index=index)
    assert {name: len(ds) for name, ds in found.items()} == {"train": 5, "test": 3}
    assert list(found["test"]) == items(3)


def test_the_splits_of_registered_files_are_in_their_names(index: Index, tmp_path: Path) -> None:
    write_files(tmp_path, "data-train.tar", "data-test.tar")
    pattern = f"{tmp_path}/data-{{train,test}}.tar"
    reference = index.publish_schema(Item)
    index.add_entry(Dataset[Item](pattern), name="files", schema_ref=reference)
    found = load_dataset("@local/files", index=index)
    assert set(found) == {"train", "test"}
    assert [sample.number for sample in found["test"]] == [2, 3]


def test_data_files_of_an_index_are_its_own(index: Index) -> None:
    index.write(items(3), name="known")
    with pytest.raises(TypeError, match="data_files"):
        load_dataset("@local/known", index=index, data_files="a.tar")


def test_an_unknown_name_is_a_key_error(index: Index) -> None:
    with pytest.raises(KeyError, match="nope") as caught:
        load_dataset("@local/nope", Item, index=index)
    assert isinstance(caught.value, NotFoundError)


def test_without_an_index_the_default_one_answers(index: Index) -> None:
    index.write(items(2), name="mine")
    set_default_index(index)
    try:
        assert list(load_dataset("@local/mine", Item, split="train")) == items(2)
    finally:
        set_default_index(None)


def test_metadata_comes_along(index: Index) -> None:
    index.write(items(2), name="mine", metadata={"license": "CC0"})
    ds = load_dataset("@local/mine", Item, index=index, split="train")
    assert ds.metadata == {"license": "CC0"}
