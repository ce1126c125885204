"""What the arguments of ``Index`` open, and where shards go when no store is given."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.core.index.kinds import Note, files, notes

import atdata
import atdata.local
from atdata import Dataset, Index, LocalDiskStore, load_dataset
from atdata.errors import PluginNotFoundError, StorageError
from atdata.index.memory import MemoryProvider


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_without_arguments_an_index_is_a_scratch_sqlite_that_can_be_written_and_read() -> None:
    index = Index()
    entry = index.write(notes("a", "b"), name="mine")
    assert "SQLiteProvider()" in repr(index)
    assert index.data_store is None
    assert [s.text for s in load_dataset("@local/mine", split="train", index=index)] == ["a", "b"]
    assert Path(entry.data_urls[0]).exists()


def test_two_scratch_indexes_share_nothing() -> None:
    Index().write(notes("a"), name="mine")
    assert Index().list_datasets() == []


def test_the_shards_of_a_scratch_index_outlive_it() -> None:
    url = Index().write(notes("a"), name="mine").data_urls[0]
    gc.collect()
    assert [note.text for note in Dataset[Note](url)] == ["a"]


SCRATCH = """
import atdata
from tests.core.index.kinds import notes
index = atdata.Index()
print(index.write(notes("a"), name="mine").data_urls[0])
"""


def test_the_shards_of_a_scratch_index_go_at_exit() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRATCH], capture_output=True, text=True, check=True
    )
    shard = Path(run.stdout.strip())
    assert shard.suffix == ".tar"
    assert not shard.parents[1].exists()


FORKED = """
import os, sys
import atdata
from tests.core.index.kinds import notes
url = atdata.Index(provider="memory").write(notes("a"), name="mine").data_urls[0]
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(os.path.exists(url))
"""


def test_a_forked_child_leaves_the_shards_of_its_parent_alone() -> None:
    command = [sys.executable, "-c", FORKED]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"


def test_a_path_keeps_the_index_and_puts_shards_beside_it(tmp_path: Path) -> None:
    with Index(path=tmp_path / "team" / "index.db") as index:
        entry = index.write(notes("a"), name="mine")
    assert Path(entry.data_urls[0]).is_relative_to(tmp_path / "team" / "data")
    with Index(path=tmp_path / "team" / "index.db") as again:
        assert again.get_dataset("mine") == entry


@pytest.mark.parametrize("name", ["dsn", "url", "host"])
def test_an_address_that_was_forgotten_does_not_mean_an_index_in_memory(name: str) -> None:
    forgotten: dict[str, Any] = {name: None}
    with pytest.raises(TypeError, match=f"{name}= is None; give an address"):
        Index(**forgotten)


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "sqlite"])
def test_a_url_is_no_path_and_makes_no_folder_called_like_its_password(
    tmp_path: Path, scheme: str
) -> None:
    with in_folder(tmp_path), pytest.raises(TypeError, match=r"as dsn=.*as url=") as caught:
        Index(path=f"{scheme}://me:sesame@host/db")
    assert "sesame" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_means_the_folder_the_index_was_opened_in(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with in_folder(tmp_path):
        index = Index(path="index.db")
    with in_folder(tmp_path / "elsewhere"):
        entry = index.write(notes("a"), name="mine")
    assert Path(entry.data_urls[0]).is_relative_to(tmp_path / "data")


def test_a_tilde_in_a_path_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Index(path="~/mine/index.db") as index:
        entry = index.write(notes("a"), name="mine")
    assert Path(entry.data_urls[0]).is_relative_to(tmp_path / "mine" / "data")


def test_a_store_that_is_given_takes_the_shards(tmp_path: Path) -> None:
    store = LocalDiskStore(tmp_path / "shards")
    index = Index(data_store=store)
    index.write(notes("a"), name="mine")
    assert index.data_store is store
    assert len(files(tmp_path / "shards")) == 1


@pytest.mark.parametrize("provider", ["memory", "sqlite", None])
def test_a_provider_is_chosen_by_name(provider: str | None) -> None:
    with Index(provider=provider) as index:
        assert (provider or "sqlite") in repr(index).lower()
        assert index.write(notes("a"), name="mine").revision == 1


def test_the_path_in_memory_is_a_scratch_index() -> None:
    with Index(path=":memory:") as index:
        shard = Path(index.write(notes("a"), name="mine").data_urls[0])
    assert not shard.is_relative_to(Path.cwd())


def test_an_open_provider_can_be_given() -> None:
    provider = MemoryProvider()
    with Index(provider=provider) as index:
        assert index.provider is provider
        folder = Path(index.write(notes("a"), name="mine").data_urls[0]).parents[1]
    assert folder.name.startswith("atdata-")


def test_shards_of_a_provider_that_lasts_are_kept_with_the_users_own(tmp_path: Path) -> None:
    from atdata_sqlite.provider import SQLiteProvider

    with Index(provider=SQLiteProvider(tmp_path / "index.db")) as index:
        shard = Path(index.write(notes("a"), name="mine").data_urls[0])
    assert shard.is_relative_to(tmp_path / "atdata-home" / "data")


CONTRADICTIONS: list[dict[str, Any]] = [
    {"path": "a.db", "dsn": "postgresql://h/d"},
    {"redis": object(), "path": "a.db"},
    {"provider": "redis", "path": "a.db"},
    {"provider": "postgres", "host": "h"},
    {"provider": "memory", "path": "a.db"},
    {"provider": MemoryProvider(), "path": "a.db"},
    {"provider": "sqlite", "port": 6379},
    {"unheard_of": 1},
]


@pytest.mark.parametrize("arguments", CONTRADICTIONS)
def test_contradictory_arguments_are_a_type_error(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    with in_folder(tmp_path), pytest.raises(TypeError, match=list(arguments)[-1]):
        Index(**arguments)
    assert files(tmp_path) == []


def test_a_provider_that_nobody_has_heard_of_is_named() -> None:
    with pytest.raises(PluginNotFoundError, match="unheard-of"):
        Index(provider="unheard-of")


def test_the_first_argument_is_a_redis_client() -> None:
    with pytest.raises(TypeError, match="redis"):
        Index(object())
    with pytest.raises(TypeError, match="path="):
        Index("datasets.db")


def test_a_folder_is_no_store() -> None:
    with pytest.raises(TypeError, match=r"LocalDiskStore\(folder\)"):
        Index(data_store="shards")  # type: ignore[arg-type]


def test_local_index_is_index_under_its_older_name() -> None:
    assert atdata.LocalIndex is atdata.local.LocalIndex is atdata.local.Index is Index


def test_the_documented_names_of_atdata_local_are_there() -> None:
    assert atdata.local.LocalDatasetEntry is atdata.LocalDatasetEntry
    assert atdata.local.LocalSchemaRecord.__name__ == "LocalSchemaRecord"
    for name in ("S3DataStore", "Repo"):
        assert name in atdata.local.__all__
    with pytest.raises(AttributeError, match="Unheard"):
        atdata.local.Unheard  # noqa: B018


def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = Index(path=tmp_path / "index.db")
    index.close()
    index.close()
    with pytest.raises(StorageError, match="closed"):
        index.list_datasets()


def test_f2_an_index_in_a_file_pickles_and_one_in_memory_refuses(tmp_path: Path) -> None:
    with Index(path=tmp_path / "index.db", auto_stubs=True, stub_dir=tmp_path / "s") as index:
        index.write(notes("a"), name="mine")
        index.load_schema("Note")
        with pickle.loads(pickle.dumps(index)) as again:
            assert again.get_dataset("mine") == index.get_dataset("mine")
            assert again.types.Note is index.types.Note
            assert again.write([Note(text="b")], name="mine").revision == 2
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Index())
