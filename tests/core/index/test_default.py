"""The default index, and ``load_dataset`` by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.index.kinds import Note, PlainStore, Point, notes, points

import atdata
from atdata import Dataset, Index, LocalDiskStore, load_dataset
from atdata.errors import NotFoundError, SplitNotFoundError, StorageError
from atdata.index import get_default_index, set_default_index


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_c4_the_users_own_index_is_private_and_below_atdata_home(tmp_path: Path) -> None:
    index = get_default_index()
    assert isinstance(index, Index)
    entry = index.write(notes("a"), name="mine")
    home = tmp_path / "atdata-home"
    assert mode(home) == 0o700
    assert mode(home / "index.db") == 0o600
    assert Path(entry.data_urls[0]).is_relative_to(home / "data")


def test_c4_a_home_that_others_can_enter_is_tightened(tmp_path: Path) -> None:
    home = tmp_path / "atdata-home"
    home.mkdir(mode=0o755)
    get_default_index()
    assert mode(home) == 0o700


def test_a_home_that_cannot_be_made_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATDATA_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StorageError, match=r"file/home .* Not a directory; ATDATA_HOME names"):
        get_default_index()
    with pytest.raises(StorageError, match="ATDATA_HOME"):
        LocalDiskStore().spool()


def test_a_name_is_loaded_from_the_users_own_index_without_saying_so(tmp_path: Path) -> None:
    with Index(path=tmp_path / "atdata-home" / "index.db") as own:
        own.write(points(3), name="team/mine", metadata={"a": 1})
    ds = load_dataset("@local/team/mine", split="train")
    assert [s.label for s in ds] == [0, 1, 2]
    assert (len(ds), ds.metadata, ds.sample_type.__name__) == (3, {"a": 1}, "Point")


def test_the_default_is_the_index_that_was_set_until_it_is_unset() -> None:
    index = Index()
    index.write(notes("a"), name="mine")
    atdata.set_default_index(index)
    assert atdata.get_default_index() is index
    assert [s.text for s in load_dataset("@local/mine", split="train")] == ["a"]
    assert [s.text for s in load_dataset("atdata://local/dataset/mine", split="train")] == ["a"]
    set_default_index(None)
    with pytest.raises(NotFoundError):
        load_dataset("@local/mine")


def test_an_index_that_is_given_goes_before_the_default() -> None:
    first, second = Index(), Index()
    first.write(notes("a"), name="mine")
    second.write(notes("b"), name="mine")
    set_default_index(first)
    assert [s.text for s in load_dataset("@local/mine", split="train", index=second)] == ["b"]


def test_splits_are_loaded_by_name(index: Index) -> None:
    index.write({"train": points(3), "validation": points(1)}, name="mine")
    set_default_index(index)
    loaded = load_dataset("@local/mine")
    assert {name: len(ds) for name, ds in loaded.items()} == {"train": 3, "validation": 1}
    with pytest.raises(SplitNotFoundError, match="validation"):
        load_dataset("@local/mine", split="test")


def test_a_sample_type_that_is_given_is_used(index: Index) -> None:
    index.write(points(2), name="mine")
    ds = load_dataset("@local/mine", Point, split="train", index=index)
    assert ds.sample_type is Point
    assert [s.label for s in ds] == [0, 1]


def test_the_number_of_samples_is_unknown_where_atdata_did_not_write_them(tmp_path: Path) -> None:
    index = Index(data_store=PlainStore(tmp_path))
    index.write(notes("a"), name="mine")
    with pytest.raises(TypeError, match="not known"):
        len(load_dataset("@local/mine", split="train", index=index))


def test_what_is_registered_elsewhere_loads_by_its_pattern(tmp_path: Path) -> None:
    store = LocalDiskStore(tmp_path / "shards")
    written = Index(data_store=store).write(notes(*"abcde"), name="first", maxcount=2)
    index = Index()
    index.add_entry(Dataset[Note](written.data_urls), name="mine")
    ds = load_dataset("@local/mine", split="train", index=index)
    assert [s.text for s in ds] == list("abcde")
    assert len(ds.list_shards()) == 3
