"""The protocols, as ``isinstance`` and type checkers see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.index.kinds import Note, PlainStore, notes

import atdata
from atdata import (
    AbstractDataStore,
    AbstractIndex,
    DataSource,
    Index,
    IndexEntry,
    LocalDatasetEntry,
    LocalDiskStore,
    Packable,
    URLSource,
    _protocols,
)


def test_ours_are_what_the_protocols_say(tmp_path: Path) -> None:
    # Type checkers hold these assignments against the protocols, too.
    index: AbstractIndex = Index()
    stores: list[AbstractDataStore] = [LocalDiskStore(tmp_path), PlainStore(tmp_path)]
    source: DataSource = URLSource("a.tar")
    entry: IndexEntry = LocalDatasetEntry("mine", "ref", ["a.tar"])
    sample: Packable = Note(text="a")  # type: ignore[assignment]
    assert isinstance(index, AbstractIndex)
    assert all(isinstance(store, AbstractDataStore) for store in stores)
    assert isinstance(source, DataSource)
    assert isinstance(entry, IndexEntry)
    assert isinstance(sample, Packable)


@pytest.mark.parametrize(
    "protocol", [AbstractIndex, AbstractDataStore, DataSource, IndexEntry, Packable]
)
def test_what_has_nothing_of_them_is_not(protocol: type) -> None:
    assert not isinstance(object(), protocol)


def names(index: AbstractIndex) -> list[str]:
    return [entry.name for entry in index.list_datasets()]


def test_code_written_against_the_protocol_takes_an_index() -> None:
    index = Index()
    index.write(notes("a"), name="mine")
    assert names(index) == ["mine"]


def test_the_documented_path_has_the_same_protocols() -> None:
    for name in _protocols.__all__:
        assert getattr(_protocols, name) is getattr(atdata, name)
