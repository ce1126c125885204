"""The records of schemas: their form, what they say, and those of other releases or hands."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.core.index.kinds import Note, Point, changed, notes

from atdata import Dataset, Index, PackableSample, Schema, load_dataset, packable
from atdata.errors import (
    AtdataError,
    ConflictError,
    CorruptDataError,
    FieldError,
    SchemaError,
    UnreadableRecordWarning,
)
from atdata.index import IndexProvider, Key, Put
from atdata.index.names import MAX_VERSION_LENGTH
from atdata.samples.schema import MAX_DEPTH


def put(provider: IndexProvider, name: str, version: str, **record: Any) -> None:
    body = {"name": name, "version": version, "fields": [], **record}
    provider.commit([Put(Key("schema", name, version), json.dumps(body).encode())])


def test_a_record_is_that_of_earlier_releases(index: Index) -> None:
    index.publish_schema(Point, version="1.0.0")
    stored = json.loads(index.provider.get(Key("schema", "Point", "1.0.0")))
    assert list(stored) == ["name", "version", "fields", "description", "createdAt"]
    assert [field["name"] for field in stored["fields"]] == ["vector", "label"]
    assert list(stored["fields"][0]) == ["name", "fieldType", "optional"]
    assert stored["fields"][0]["fieldType"]["$type"] == "local#ndarray"
    assert stored["fields"][0]["fieldType"]["dtype"] == "float32"
    assert stored["fields"][1]["fieldType"] == {"$type": "local#primitive", "primitive": "int"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", stored["createdAt"])


@packable
class S:
    """Doc."""

    image: NDArray[Any]
    label: str
    conf: float
    tags: list[str]
    opt: NDArray[Any] | None
    raw: bytes
    n: int
    ok: bool


# Written by 0.2 to 0.7 for the class above, apart from the time.
OLD_RECORD = """\
{"name": "S", "version": "1.0.0", "fields": [\
{"name": "image", "fieldType": {"$type": "local#ndarray", "dtype": "float32"}, "optional": false}, \
{"name": "label", "fieldType": {"$type": "local#primitive", "primitive": "str"}, \
"optional": false}, \
{"name": "conf", "fieldType": {"$type": "local#primitive", "primitive": "float"}, \
"optional": false}, \
{"name": "tags", "fieldType": {"$type": "local#array", \
"items": {"$type": "local#primitive", "primitive": "str"}}, "optional": false}, \
{"name": "opt", "fieldType": {"$type": "local#ndarray", "dtype": "float32"}, "optional": true}, \
{"name": "raw", "fieldType": {"$type": "local#primitive", "primitive": "bytes"}, \
"optional": false}, \
{"name": "n", "fieldType": {"$type": "local#primitive", "primitive": "int"}, "optional": false}, \
{"name": "ok", "fieldType": {"$type": "local#primitive", "primitive": "bool"}, "optional": false}\
], "description": "Doc.", "createdAt": "<now>"}"""


def test_a_record_is_written_byte_for_byte_as_earlier_releases_did() -> None:
    index = Index(provider="memory")
    created = index.get_schema(index.publish_schema(S))["createdAt"]
    stored = index.provider.get(Key("schema", "S", "1.0.0")).decode()
    assert stored.replace(created, "<now>") == OLD_RECORD


def test_a_record_of_an_earlier_release_is_found_decoded_and_reused(index: Index) -> None:
    index.provider.commit([Put(Key("schema", "S", "1.0.0"), OLD_RECORD.encode())])
    made = index.decode_schema("local://schemas/some.module.S@1.0.0")
    own = S(image=np.eye(2), label="a", conf=0.5, tags=["x"], opt=None, raw=b"r", n=1, ok=True)
    assert index.write([own], name="mine").schema_ref == "atdata://local/sampleSchema/S@1.0.0"
    (sample,) = load_dataset("@local/mine", split="train", index=index)
    assert type(sample) is made
    assert (sample.label, sample.opt, sample.image.tolist()) == ("a", None, np.eye(2).tolist())


def test_the_description_is_the_docstring_unless_given(index: Index) -> None:
    assert index.get_schema(index.publish_schema(Point))["description"] == "A labelled vector."
    own = index.publish_schema(Point, description="Mine")
    assert index.get_schema_record(own).description == "Mine"
    silent = index.publish_schema(Point, description="")
    assert index.get_schema_record(silent).description == ""


def test_a_generated_docstring_is_no_description(index: Index) -> None:
    @dataclass
    class Plain(PackableSample):
        a: int

    for sample_type in (Note, Plain):
        assert index.get_schema(index.publish_schema(sample_type))["description"] is None


def test_metadata_is_kept_beside_a_schema(index: Index) -> None:
    ref = index.publish_schema(Note, metadata={"unit": "cm", "n": np.int32(3)})
    assert index.get_schema(ref)["metadata"] == {"unit": "cm", "n": 3}
    assert index.get_schema_record(index.publish_schema(Note)).metadata is None


def test_a_type_whose_record_could_not_be_read_is_not_published(index: Index) -> None:
    deep: Any = int
    for _ in range(MAX_DEPTH + 2):
        deep = list[deep]
    with pytest.raises(SchemaError, match="levels"):
        index.publish_schema(changed(deep=deep))
    assert index.list_schemas() == []


def test_a_record_object_has_what_the_record_says(index: Index) -> None:
    record = index.get_schema_record(index.publish_schema(Point, version="1.0.0"))
    stored = index.get_schema("Point")
    assert (record.name, record.version) == ("Point", "1.0.0")
    assert record.fields == stored["fields"]
    assert record.description == stored["description"]
    assert record.created_at == stored["createdAt"]
    assert record.schema == Schema.from_type(Point)


FOREIGN_FIELD = {"name": "m", "fieldType": {"$type": "local#sparse"}, "optional": False}


def test_what_others_put_beside_the_fields_is_in_nobodys_way(index: Index) -> None:
    put(index.provider, "Odd", "1.0.0", description=5, createdAt=1, metadata=[1])
    record = index.get_schema_record("Odd")
    assert (record.description, record.created_at, record.metadata) == (None, None, None)
    assert index.get_schema("Odd")["description"] == 5


def test_kinds_of_fields_not_supported_here_are_listed_but_not_decoded(index: Index) -> None:
    put(index.provider, "Note", "1.0.0", fields=[FOREIGN_FIELD])
    assert index.list_schemas()[0]["fields"] == [FOREIGN_FIELD]
    with pytest.raises(SchemaError, match="sparse"):
        index.decode_schema("Note")
    with pytest.raises(ConflictError, match="sparse"):
        index.publish_schema(Note, version="1.0.0")
    assert index.write(notes("a"), name="mine").schema_ref.endswith("Note@1.0.1")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("Note", '1.0.0"""; __import__("os").system("touch hacked"); """'),
        ("Note", "1.0"),
        ("Note", "1/../../x"),
        ("../../Note", "1.0.0"),
        ("mymod.Note", "1.0.0"),
        ("class", "1.0.0"),
    ],
)
def test_x5_records_that_no_reference_can_name_are_passed_over(
    index: Index, name: str, version: str
) -> None:
    put(index.provider, name, version)
    assert index.list_schemas() == []
    assert index.publish_schema(Note).endswith("Note@1.0.0")
    assert [s["name"] for s in index.list_schemas()] == ["Note"]
    with pytest.raises(AtdataError):
        index.decode_schema(f"{name}@{version}")


CORRUPT: list[dict[str, Any]] = [
    {"name": "Other"},
    {"version": '1.0.0"""; __import__("os").system("x"); """'},
    {"fields": None},
    {"fields": {}},
]


@pytest.mark.parametrize("record", CORRUPT)
def test_a_record_at_odds_with_its_key_is_corrupt(index: Index, record: dict[str, Any]) -> None:
    body = {"name": "Note", "version": "1.0.0", "fields": [], **record}
    index.provider.commit([Put(Key("schema", "Note", "1.0.0"), json.dumps(body).encode())])
    for look_up in (index.get_schema, index.decode_schema):
        with pytest.raises(CorruptDataError, match=r"schema/Note/1\.0\.0"):
            look_up("Note@1.0.0")


def test_metadata_of_a_schema_must_be_json(index: Index) -> None:
    with pytest.raises(FieldError, match="Note"):
        index.publish_schema(Note, metadata={"a": b"x"})


LAST = f"1.0.{'9' * (MAX_VERSION_LENGTH - 4)}"


@pytest.mark.parametrize("body", [{}, {"name": "Note", "version": LAST, "fields": []}], ids=str)
def test_a_version_that_none_can_follow_is_in_nobodys_way(
    index: Index, body: dict[str, Any]
) -> None:
    index.provider.commit([Put(Key("schema", "Note", LAST), json.dumps(body).encode())])
    with _reported(not body):
        assert index.publish_schema(Note).endswith("Note@1.0.0")
    assert index.publish_schema(changed(text=int)).endswith("Note@1.0.1")
    assert index.add_entry(Dataset[Note]("a.tar"), name="mine").schema_ref.endswith("Note@1.0.0")


def test_without_a_version_the_highest_that_can_be_read_is_got(index: Index) -> None:
    index.publish_schema(Note, version="1.2.3")
    index.provider.commit([Put(Key("schema", "Note", "2.0.0"), b"{}")])
    with _reported(True):
        assert index.get_schema("Note")["version"] == "1.2.3"
    assert index.publish_schema(changed(text=int)).endswith("Note@2.0.1")
    with pytest.raises(CorruptDataError, match=r"schema/Note/2\.0\.0"):
        index.get_schema("Note@2.0.0")


def _reported(is_unreadable: bool) -> AbstractContextManager[object]:
    return pytest.warns(UnreadableRecordWarning) if is_unreadable else nullcontext()
