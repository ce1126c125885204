"""Schemas of an index: published, versioned, found, decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.index.kinds import CountingProvider, Note, Point, changed, notes, points

from atdata import Index
from atdata.errors import (
    ConflictError,
    InvalidNameError,
    NotFoundError,
    SampleTypeError,
)
from atdata.index import Key
from atdata.index.names import version_key


def test_publishing_gives_the_canonical_reference(index: Index) -> None:
    ref = index.publish_schema(Point, version="1.2.3")
    assert ref == "atdata://local/sampleSchema/Point@1.2.3"
    assert index.get_schema(ref)["$ref"] == ref


def test_versions_start_at_one_and_bump_the_patch(index: Index) -> None:
    refs = [index.publish_schema(Note) for _ in range(3)]
    assert [ref.rpartition("@")[2] for ref in refs] == ["1.0.0", "1.0.1", "1.0.2"]


@pytest.mark.parametrize(
    ("given_versions", "following"),
    [(["1.9.0", "1.10.0"], "1.10.1"), (["2.0.0-rc.1"], "2.0.0"), (["1.0.0", "0.9.9"], "1.0.1")],
)
def test_the_next_version_follows_the_highest(
    index: Index, given_versions: list[str], following: str
) -> None:
    for version in given_versions:
        index.publish_schema(Note, version=version)
    assert index.publish_schema(Note).endswith(f"@{following}")


def test_an_existing_version_with_the_same_fields_is_left_as_it_is(index: Index) -> None:
    ref = index.publish_schema(Note, version="1.0.0", description="first")
    assert index.publish_schema(Note, version="1.0.0", description="second") == ref
    assert index.get_schema(ref)["description"] == "first"


def test_an_existing_version_with_other_fields_is_a_conflict_that_shows_them(index: Index) -> None:
    ref = index.publish_schema(Note, version="1.0.0")
    with pytest.raises(ConflictError, match=r"-tag: str \| None.*\+tag: int") as caught:
        index.publish_schema(changed(text=str, tag=int), version="1.0.0")
    assert caught.value.details["ref"] == ref
    assert isinstance(caught.value, ValueError)
    assert index.decode_schema(ref)(text="a").tag is None


SPELLINGS = [
    "atdata://local/sampleSchema/Note@1.0.0",
    "atdata://local/schema/Note@1.0.0",
    "local://schemas/Note@1.0.0",
    "local://schemas/some.module.Note@1.0.0",
    "@local/Note@1.0.0",
    "Note@1.0.0",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_schema_is_found_by_every_spelling(index: Index, spelling: str) -> None:
    index.publish_schema(Note, version="1.0.0")
    newest = index.publish_schema(changed(other=int), version="1.0.1")
    assert index.get_schema(spelling)["version"] == "1.0.0"
    assert index.get_schema(spelling.removesuffix("@1.0.0"))["$ref"] == newest


def test_without_a_version_the_highest_is_meant(index: Index) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1", "1.2.0"):
        index.publish_schema(Note, version=version)
    assert index.get_schema("Note")["version"] == "1.10.0"
    index.publish_schema(Note, version="2.0.0-alpha")
    assert index.get_schema("Note")["version"] == "2.0.0-alpha"


NUMBERS = st.integers(0, 20).map(str)
TAGS = st.text("ab1-", min_size=1, max_size=3).filter(
    lambda tag: not (tag.isdigit() and tag.startswith("0"))
)
VERSIONS = st.builds(
    lambda numbers, tag: ".".join(numbers) + (f"-{tag}" if tag else ""),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.none() | TAGS,
)


@given(st.lists(VERSIONS, min_size=1, max_size=6))
def test_the_highest_version_is_that_of_semver(versions: list[str]) -> None:
    with Index(provider="memory") as index:
        for version in versions:
            index.publish_schema(Note, version=version)
        assert index.get_schema("Note")["version"] == max(versions, key=version_key)
        following = index.publish_schema(Note).rpartition("@")[2]
        assert version_key(following) > max(map(version_key, versions))


@pytest.mark.parametrize(
    "ref", ["Other", "Note@1.0.1", "Note@2.0.0", "atdata://a.org/sampleSchema/Note@1.0.0"]
)
def test_a_schema_that_is_not_there_is_a_key_error(index: Index, ref: str) -> None:
    index.publish_schema(Note, version="1.0.0")
    for look_up in (index.get_schema, index.get_schema_record, index.decode_schema):
        with pytest.raises(NotFoundError) as caught:
            look_up(ref)
        assert isinstance(caught.value, KeyError)


MALFORMED = [
    *["", "@local", "Note@", "Note@1", "Note@1.0", "Note@01.0.0", "Note@1.0.0.0", "Note@1.0.0-"],
    *["1Note@1.0.0", "class@1.0.0", "No te", "Note@latest", "../Note", "Nöte", "x" * 300, "a\0b"],
    *["http://a/Note", "atdata://local/lens/Note@1.0.0", "atdata://local/dataset/Note", "\ud800"],
    'Note@1.0.0"""; __import__("os").system("touch hacked"); """',
]


@pytest.mark.parametrize("ref", MALFORMED)
def test_a_malformed_reference_is_a_value_error(index: Index, ref: str) -> None:
    for look_up in (index.get_schema, index.decode_schema, index.get_schema_record):
        with pytest.raises(InvalidNameError):
            look_up(ref)


@pytest.mark.parametrize("version", ["", "1", "1.0", "v1.0.0", "1.0.0\n", "01.0.0", "x" * 200])
def test_a_version_that_is_none_is_refused(index: Index, version: str) -> None:
    with pytest.raises(InvalidNameError):
        index.publish_schema(Note, version=version)
    assert index.list_schemas() == []


@pytest.mark.parametrize("sample_type", [int, dict, object, type("Bare", (), {})])
def test_a_class_that_is_no_sample_type_is_refused(index: Index, sample_type: type) -> None:
    with pytest.raises(SampleTypeError) as caught:
        index.publish_schema(sample_type)
    assert isinstance(caught.value, TypeError)


def test_listings_agree_and_go_by_name(index: Index) -> None:
    for sample_type in (Point, Note, Note):
        index.publish_schema(sample_type)
    listed = index.list_schemas()
    assert [(s["name"], s["version"]) for s in listed] == [
        ("Note", "1.0.0"),
        ("Note", "1.0.1"),
        ("Point", "1.0.0"),
    ]
    assert [record.to_dict() for record in index.schemas] == listed
    assert [record.ref for record in index.schemas] == [s["$ref"] for s in listed]


def test_a_decoded_class_reads_and_writes_what_the_own_one_does(index: Index) -> None:
    made = index.decode_schema(index.publish_schema(Point))
    own = next(points(1))
    sample = made.from_bytes(own.packed)
    assert sample.vector.tolist() == own.vector.tolist()
    assert Point.from_bytes(sample.packed) == own
    assert made.__name__ == "Point"


def test_the_same_schema_decodes_to_the_same_class(index: Index) -> None:
    ref = index.publish_schema(Point)
    assert index.decode_schema(ref) is index.decode_schema(ref)
    assert index.decode_schema("local://schemas/m.Point@1.0.0") is index.decode_schema(ref)
    assert index.decode_schema(index.publish_schema(Point)) is not index.decode_schema(ref)


def test_d17_the_same_reference_with_other_fields_is_another_class() -> None:
    first, second = Index(), Index()
    ref = first.publish_schema(Note)
    assert second.publish_schema(changed(other=int)) == ref
    assert first.decode_schema(ref) is not second.decode_schema(ref)


def test_decode_schema_as_returns_the_decoded_class(index: Index) -> None:
    ref = index.publish_schema(Point)
    assert index.decode_schema_as(ref, Point) is index.decode_schema(ref)


def test_a_loaded_schema_is_an_attribute_of_types(index: Index) -> None:
    made = index.load_schema(index.publish_schema(Note))
    assert index.types.Note is made
    assert "Note" in index.types
    assert "Note" in dir(index.types)
    assert repr(index.types) == "<types Note>"
    with pytest.raises(AttributeError, match="load_schema"):
        _ = index.types.Point


def test_without_stubs_there_is_nothing_to_import_or_clear(index: Index) -> None:
    ref = index.publish_schema(Note)
    assert (index.get_import_path(ref), index.clear_stubs(), index.stub_dir) == (None, 0, None)
    assert repr(index.types) == "<types none loaded>"


def test_writing_reuses_an_identical_schema(index: Index) -> None:
    refs = [index.write(notes("a"), name=name).schema_ref for name in ("a", "b", "a")]
    assert refs == ["atdata://local/sampleSchema/Note@1.0.0"] * 3
    assert len(index.list_schemas()) == 1


def test_writing_reuses_the_newest_of_identical_schemas_also_behind_others(index: Index) -> None:
    index.publish_schema(Note, version="1.0.0")
    index.publish_schema(Note, version="1.1.0")
    index.publish_schema(changed(other=int), version="2.0.0")
    assert index.write(notes("a"), name="mine").schema_ref.endswith("Note@1.1.0")


def test_writing_publishes_the_next_version_when_the_fields_are_new(index: Index) -> None:
    index.publish_schema(changed(other=int), version="1.0.0")
    assert index.write(notes("a"), name="mine").schema_ref.endswith("Note@1.0.1")


def test_a_race_to_publish_one_schema_ends_in_one_version() -> None:
    provider = CountingProvider()
    index = Index(provider=provider)
    racing = Index(provider=provider)

    class Overtaken(CountingProvider):
        def commit(self, ops: Any) -> None:
            if not racing.list_schemas():
                racing.write(notes("b"), name="theirs")
            provider.commit(ops)

        def get(self, key: Key) -> bytes:
            return provider.get(key)

        def scan(self, *args: Any, **kwargs: Any) -> list[tuple[Key, bytes]]:
            return provider.scan(*args, **kwargs)

    overtaken = Index(provider=Overtaken())
    assert overtaken.write(notes("a"), name="mine").schema_ref.endswith("Note@1.0.0")
    assert len(index.list_schemas()) == 1


def test_an_optional_array_survives_the_trip(index: Index) -> None:
    made = index.decode_schema(
        index.publish_schema(changed(image=NDArray | None, name=str, tags=list[str]))
    )
    sample = made(image=np.arange(3), name="a", tags=["x"])
    again = made.from_bytes(sample.packed)
    assert again.image.tolist() == [0, 1, 2]
    assert made.from_bytes(made(image=None, name="a", tags=[]).packed).image is None


def test_dicts_have_a_local_record(index: Index) -> None:
    made = index.decode_schema(index.publish_schema(changed(extra=dict)))
    assert made.from_bytes(made(extra={"a": 1}).packed).extra == {"a": 1}


def test_schemas_of_a_file_are_found_by_the_next_process(tmp_path: Path) -> None:
    with Index(path=tmp_path / "index.db") as index:
        ref = index.publish_schema(Point)
    with Index(path=tmp_path / "index.db") as again:
        assert again.get_schema(ref)["name"] == "Point"
