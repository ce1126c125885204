"""Entries whose URLs came from a stranger: marked, and opened by the rules for strangers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import atdata
from atdata.errors import UntrustedInputError
from atdata.index import Key, LocalDatasetEntry
from atdata.index.memory import MemoryProvider


@atdata.packable
class Note:
    """A text."""

    text: str


class Shared(MemoryProvider):
    """A provider that others may write to."""

    @property
    def is_own(self) -> bool:
        return False


@pytest.fixture
def file(tmp_path: Path) -> str:
    index = atdata.Index(path=tmp_path / "other" / "index.db")
    return index.write([Note("a"), Note("b")], name="notes").data_urls[0]


def load(index: atdata.Index, name: str, **options: object) -> list[Note]:
    return list(atdata.load_dataset(f"@local/{name}", Note, index=index, split="train", **options))  # type: ignore[call-overload]


def test_a_foreign_entry_keeps_its_mark_and_an_ordinary_one_has_none() -> None:
    index = atdata.Index()
    web = atdata.Dataset[Note]("https://example.org/a.tar")
    assert index.add_entry(web, name="theirs", foreign=True).foreign
    assert index.get_dataset("theirs").foreign
    assert not index.add_entry(web, name="mine").foreign
    assert "foreign" not in json.loads(index.provider.get(Key("dataset", "mine", "")))
    assert index.get_dataset("theirs").cid == index.get_dataset("mine").cid


def test_a_foreign_entry_names_no_file_unless_it_is_allowed(file: str) -> None:
    index = atdata.Index()
    with pytest.raises(UntrustedInputError):
        index.add_entry(atdata.Dataset[Note](file), name="theirs", foreign=True)
    ref = index.publish_schema(Note)
    entry = LocalDatasetEntry("theirs", ref, [file], foreign=True)
    with pytest.raises(UntrustedInputError, match="files of this machine"):
        index.create_entry_source(entry, [file])
    folder = f"{os.path.dirname(file)}/"
    assert index.create_entry_source(entry, [file], allow=[folder]).list_shards() == [file]


def test_what_a_shared_index_names_is_foreign_in_a_copy(tmp_path: Path, file: str) -> None:
    shared = atdata.Index(provider=Shared(), data_store=atdata.LocalDiskStore(tmp_path / "team"))
    shared.add_entry(atdata.Dataset[Note]("https://example.org/a.tar"), name="web")
    shared.write([Note("c")], name="written")
    mine, other = atdata.Index(), atdata.Index()
    assert mine.copy_from(shared, "web").foreign
    assert other.copy_from(mine, "web").foreign
    assert not mine.copy_from(shared, "written").foreign
    assert load(mine, "written") == [Note("c")]
    with pytest.raises(UntrustedInputError, match="shared index"):
        shared.add_entry(atdata.Dataset[Note](file), name="laptop")


def test_shards_that_are_copied_are_ones_own(tmp_path: Path, file: str) -> None:
    folder = f"{os.path.dirname(file)}/"
    theirs = atdata.Index(provider=Shared(), allow=[folder])
    theirs.add_entry(atdata.Dataset[Note](file), name="notes", foreign=True)
    careful = atdata.Index(data_store=atdata.LocalDiskStore(tmp_path / "careful"))
    trusting = atdata.Index(data_store=atdata.LocalDiskStore(tmp_path / "mine"), allow=[folder])
    copy = trusting.copy_from(theirs, "notes", shards=True)
    assert not copy.foreign
    assert load(trusting, "notes") == [Note("a"), Note("b")]
    with pytest.raises(UntrustedInputError):
        careful.copy_from(theirs, "notes")


def test_allow_is_taken_when_loading_too(file: str) -> None:
    folder = f"{os.path.dirname(file)}/"
    provider = Shared()
    atdata.Index(provider=provider, allow=[folder]).add_entry(
        atdata.Dataset[Note](file), name="notes"
    )
    index = atdata.Index(provider=provider)
    with pytest.raises(UntrustedInputError):
        load(index, "notes")
    assert load(index, "notes", allow=[folder]) == [Note("a"), Note("b")]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_an_sqlite_file_that_everybody_may_write_to_is_a_shared_index(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.db"
    dataset = atdata.Dataset[Note](file)
    with atdata.Index(path=path) as index:
        index.add_entry(dataset, name="notes")
    with atdata.Index(path=path) as index, monkeypatch.context() as other:
        other.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
        with pytest.raises(UntrustedInputError):
            load(atdata.Index(provider=index.provider), "notes")
    path.chmod(0o666)
    with atdata.Index(path=path) as index, pytest.raises(UntrustedInputError):
        load(index, "notes")
