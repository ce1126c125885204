"""Finding, listing and forgetting datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.index.kinds import CountingProvider, Note, notes

from atdata import Dataset, Index, load_dataset
from atdata.errors import (
    AtdataError,
    CorruptDataError,
    InvalidNameError,
    NotFoundError,
    UnreadableRecordWarning,
)
from atdata.index import ABSENT, Delete, Key, Put
from atdata.index.datasets import PAGE

ANYWHERE = Dataset[Note]("a.tar")
SPELLINGS = ["team/mine", "@local/team/mine", "atdata://local/dataset/team/mine"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_dataset_is_found_by_every_spelling_of_its_name(index: Index, spelling: str) -> None:
    first = index.write(notes("a"), name="team/mine")
    second = index.write(notes("b"), name="team/mine")
    assert index.get_dataset(spelling) == second
    assert index.get_dataset(f"{spelling}@1") == first
    assert index.get_dataset(f"{spelling}@2") == second
    assert (first.revision, second.revision) == (1, 2)


def test_load_dataset_takes_a_revision(index: Index) -> None:
    index.write(notes("a"), name="mine")
    index.write(notes("b"), name="mine")
    for ref, text in (("@local/mine@1", "a"), ("@local/mine", "b"), (SPELLINGS[2], None)):
        if text is not None:
            assert [s.text for s in load_dataset(ref, split="train", index=index)] == [text]


@pytest.mark.parametrize(
    "ref",
    ["mine", "@local/mine", "mine@3", "mine@0", "mine@99999999999", "mine@v2", "@a.org/other"],
)
def test_what_is_not_there_is_a_key_error(index: Index, ref: str) -> None:
    index.add_entry(ANYWHERE, name="other")
    with pytest.raises(NotFoundError) as caught:
        index.get_dataset(ref)
    assert isinstance(caught.value, KeyError)


MALFORMED = [
    *["", "@local", "@local/", "../x", "a\0b", "x" * 300, "\ud800", "mine@", "mine@-1", "mine@1 2"],
    *["http://a/b", "atdata://", "atdata://local/nothing/x", "atdata://local/dataset/%zz"],
    *["atdata://local/schema/Mine@1.0.0", "local://schemas/Mine@1.0.0", "@a b/x", "at://did:plc:a"],
]


@pytest.mark.parametrize("ref", MALFORMED)
def test_a_malformed_reference_is_a_value_error(index: Index, ref: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        index.get_dataset(ref)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("name", ["no-such-*", "a\0b", "x" * 3000, "\ud800"])
def test_what_can_have_no_such_name_is_a_key_error_too(index: Index, name: str) -> None:
    with pytest.raises(KeyError):
        index.get_dataset(name)
    for look_up_schema in (index.get_schema, index.get_schema_record, index.decode_schema):
        with pytest.raises(KeyError):
            look_up_schema(name)
    for look_up in (index.get_entry_by_name, index.get_entry, index.history, index.delete):
        with pytest.raises(KeyError):
            look_up(name)


@pytest.mark.parametrize("name", ["", "../x", "a\0b", "x" * 300, "x" * 3000, "\ud800", "a@1"])
def test_look_ups_by_a_bad_name_fail_with_our_errors(index: Index, name: str) -> None:
    for look_up in (index.get_entry_by_name, index.history, index.delete, index.get_entry):
        with pytest.raises(AtdataError):
            look_up(name)


def test_looking_for_nothing_finds_nothing(index: Index) -> None:
    index.write(notes("a"), name="mine")
    for look_up in (index.get_entry, index.history):
        with pytest.raises(NotFoundError):
            look_up(None)  # type: ignore[arg-type]


def test_an_entry_is_found_by_its_cid_also_after_a_newer_revision(index: Index) -> None:
    first = index.write(notes("a"), name="mine")
    second = index.write(notes("b"), name="mine")
    assert index.get_entry(first.cid) == first
    assert index.get_entry(second.cid) == second


def test_two_names_may_share_a_cid(index: Index) -> None:
    b = index.add_entry(ANYWHERE, name="b")
    a = index.add_entry(ANYWHERE, name="a")
    assert a.cid == b.cid
    assert index.get_entry(a.cid) == a
    index.delete("a")
    assert index.get_entry(b.cid) == b


def test_an_entry_is_found_by_its_name(index: Index) -> None:
    index.write(notes("a"), name="mine")
    second = index.write(notes("b"), name="mine")
    assert index.get_entry_by_name("mine") == second


def test_all_listings_agree_and_go_by_name(index: Index) -> None:
    for name in ("b", "a", "c/d", "B", "ä"):
        index.add_entry(ANYWHERE, name=name)
    index.add_entry(ANYWHERE, name="a", metadata={"newer": True})
    listed = index.list_datasets()
    assert [entry.name for entry in listed] == ["B", "a", "b", "c/d", "ä"]
    assert listed[1].metadata == {"newer": True}
    assert listed == index.list_entries() == index.all_entries
    assert listed == list(index.datasets) == list(index.entries)


def test_iterating_fetches_page_by_page() -> None:
    provider = CountingProvider()
    index = Index(provider=provider)
    ref = index.publish_schema(Note)
    for number in range(PAGE + 1):
        index.add_entry(ANYWHERE, name=f"n{number:06d}", schema_ref=ref)
    provider.calls.clear()
    entries: Iterator[object] = index.datasets
    next(entries)
    assert provider.calls == ["scan"]
    assert sum(1 for _ in entries) == PAGE
    assert provider.calls == ["scan"] * 3


def test_one_look_up_by_name_is_one_request() -> None:
    provider = CountingProvider()
    index = Index(provider=provider)
    index.add_entry(ANYWHERE, name="mine")
    provider.calls.clear()
    index.get_dataset("mine")
    index.get_dataset("mine@1")
    index.get_schema("Note@1.0.0")
    index.get_schema("Note")
    assert provider.calls == ["get", "get", "get", "scan"]


def test_history_has_every_revision_newest_first(index: Index) -> None:
    written = [index.write(notes(text), name="mine") for text in "abc"]
    index.write(notes("x"), name="mine2")
    assert index.history("mine") == written[::-1]
    assert [entry.revision for entry in index.history("mine")] == [3, 2, 1]


def test_deleting_forgets_a_name_its_history_and_its_cids(index: Index, tmp_path: Path) -> None:
    written = [index.write(notes(text), name="mine") for text in "ab"]
    other = index.write(notes("c"), name="mine/other")
    index.delete("mine")
    for entry in written:
        with pytest.raises(NotFoundError):
            index.get_entry(entry.cid)
        assert Path(entry.data_urls[0]).exists()
    for ref in ("mine", "mine@1", "mine@2"):
        with pytest.raises(NotFoundError):
            index.get_dataset(ref)
    with pytest.raises(NotFoundError):
        index.history("mine")
    with pytest.raises(NotFoundError):
        index.delete("mine")
    assert index.list_datasets() == [other]


def test_a_deleted_name_can_be_written_again(index: Index) -> None:
    index.write(notes("a"), name="mine")
    index.delete("mine")
    assert index.write(notes("b"), name="mine").revision == 1
    assert len(index.history("mine")) == 1


def test_what_later_releases_add_to_a_record_is_in_nobodys_way(index: Index) -> None:
    entry = index.write(notes("a"), name="mine")
    key = Key("dataset", "mine", "")
    record = json.loads(index.provider.get(key))
    record |= {"licence": "MIT", "shards": [{**record["shards"][0], "crc32": 5}]}
    index.provider.commit([Put(key, json.dumps(record).encode())])
    assert index.get_dataset("mine") == entry
    assert index.write(notes("b"), name="mine").revision == 2
    index.delete("mine")
    assert index.list_datasets() == []


HOSTILE_ENTRIES = [
    b"{}",
    b'{"name": 5, "schema_ref": "a", "data_urls": []}',
    b'{"name": "a", "schema_ref": null, "data_urls": []}',
    b'{"name": "a", "schema_ref": "a", "data_urls": "abc"}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [1]}',
    b'{"name": "a", "schema_ref": "a", "data_urls": 7}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "metadata": []}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "revision": "x"}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "revision": -1}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "revision": true}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "cid": {}}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "shards": {}}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "shards": 5}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "shards": [5]}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "shards": [{"url": "a"}]}',
    b'{"name": "a", "schema_ref": "a", "data_urls": [], "shards": [{"url": "a", "count": "x"}]}',
]


@pytest.mark.parametrize("body", HOSTILE_ENTRIES)
def test_a_dataset_record_that_cannot_be_read_is_corrupt(index: Index, body: bytes) -> None:
    index.provider.commit([Put(Key("dataset", "mine", ""), body, ABSENT)])
    for look_up in (index.get_dataset, index.get_entry_by_name):
        with pytest.raises(CorruptDataError, match="dataset/mine/"):
            look_up("mine")


@pytest.mark.parametrize("body", HOSTILE_ENTRIES)
def test_a_revision_that_cannot_be_read_is_corrupt(index: Index, body: bytes) -> None:
    index.provider.commit([Put(Key("revision", "mine", "00000001"), body, ABSENT)])
    for look_up, name in ((index.get_dataset, "mine@1"), (index.history, "mine")):
        with pytest.raises(CorruptDataError, match="revision/mine/00000001"):
            look_up(name)


@pytest.mark.parametrize("other", ["theirs", "theirs@x", "theirs@1", "theirs@00000001"])
def test_a_cid_record_that_leads_elsewhere_is_passed_over(index: Index, other: str) -> None:
    entry = index.add_entry(ANYWHERE, name="unlike")
    index.add_entry(Dataset[Note]("https://example.org/others.tar"), name="theirs")
    index.provider.commit([Put(Key("cid", entry.cid, other), b"{}")])
    if other != "theirs@00000001":
        assert index.get_entry(entry.cid) == entry
        return
    with pytest.warns(UnreadableRecordWarning, match=f"cid/{entry.cid}/{other}"):
        assert index.get_entry(entry.cid) == entry
    index.delete("unlike")
    with pytest.raises(CorruptDataError, match=f"cid/{entry.cid}/{other}"):
        index.get_entry(entry.cid)


def test_a_cid_whose_entry_is_gone_is_not_found(index: Index) -> None:
    entry = index.add_entry(ANYWHERE, name="mine")
    index.provider.commit([Delete(Key("revision", "mine", "00000001"))])
    with pytest.raises(NotFoundError):
        index.get_entry(entry.cid)
