"""Schemas as records: field by field as the first generation writes them, and all forms read."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import atdata
from atdata.errors import (
    AtdataError,
    CorruptDataError,
    FieldError,
    InvalidNameError,
    LimitExceededError,
    SchemaError,
)
from atdata.samples import Schema
from atdata.samples.codec import Field
from atdata.samples.fields import PRIMITIVES, Array, FieldType, List
from atdata.samples.identifiers import why_not_field
from atdata_atmosphere.records.schemas import is_same_schema, record_to_schema, schema_to_record

TYPES = "ac.foundation.dataset.schemaType"


@atdata.packable
class S:
    image: NDArray[Any]
    label: str
    conf: float
    tags: list[str]
    opt: NDArray[Any] | None
    raw: bytes
    n: int
    ok: bool


def field(name: str, kind: dict[str, Any], *, optional: bool = False) -> dict[str, Any]:
    prefix, *rest = kind.items()
    return {
        "name": name,
        "fieldType": {"$type": f"{TYPES}#{prefix[1]}", **dict(rest)},
        "optional": optional,
    }


def primitive(name: str) -> dict[str, Any]:
    return {"kind": "primitive", "primitive": name}


# As release 0.2.3 sent it.
FIRST_GENERATION = {
    "$type": "ac.foundation.dataset.sampleSchema",
    "name": "S",
    "version": "1.0.0",
    "fields": [
        field("image", {"kind": "ndarray", "dtype": "float32"}),
        field("label", primitive("str")),
        field("conf", primitive("float")),
        field(
            "tags",
            {"kind": "array", "items": {"$type": f"{TYPES}#primitive", "primitive": "str"}},
        ),
        field("opt", {"kind": "ndarray", "dtype": "float32"}, optional=True),
        field("raw", primitive("bytes")),
        field("n", primitive("int")),
        field("ok", primitive("bool")),
    ],
    "description": "d",
    "metadata": {"license": "MIT"},
}


def json_schema(namespace: str, host: str, **more: Any) -> dict[str, Any]:
    array = {"$ref": f"https://{host}/schemas/atdata-ndarray-bytes/1.0.0#/$defs/ndarray"}
    return {
        "$type": f"{namespace}.schema",
        "name": "S",
        "version": "1.0.0",
        "schemaType": "jsonSchema",
        "schema": {
            "$type": f"{namespace}.schema#jsonSchemaFormat",
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "image": array,
                "label": {"type": "string"},
                "conf": {"type": "number"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "opt": array,
                "raw": {"type": "string", "format": "byte", "contentEncoding": "base64"},
                "n": {"type": "integer"},
                "ok": {"type": "boolean"},
            },
            "required": ["image", "label", "conf", "tags", "raw", "n", "ok"],
            "arrayFormatVersions": {"ndarrayBytes": "1.0.0"},
        },
        **more,
    }


SECOND_GENERATION = json_schema(
    "ac.foundation.dataset", "foundation.ac", **{"$atdataSchemaVersion": 1}
)
THIRD_GENERATION = json_schema("science.alt.dataset", "alt.science", atdataSchemaVersion=1)


def test_a_schema_is_written_as_the_first_generation_wrote_it() -> None:
    schema = Schema.from_type(S)
    record = schema_to_record(schema, "1.0.0", description="d", metadata={"license": "MIT"})
    created = record.pop("createdAt")
    assert record == FIRST_GENERATION
    assert created.endswith("+00:00")


def test_what_was_not_said_is_not_written() -> None:
    record = schema_to_record(Schema.from_type(S), "1.0.0", description="", metadata={})
    assert record.keys() == {"$type", "name", "version", "fields", "createdAt"}


@pytest.mark.parametrize(
    "record",
    [
        FIRST_GENERATION,
        {**FIRST_GENERATION, "$type": "ac.foundation.dataset.schema"},
        SECOND_GENERATION,
        THIRD_GENERATION,
        {**SECOND_GENERATION, "schema": {"schemaBody": SECOND_GENERATION["schema"]}},
    ],
    ids=["A", "A'", "B", "C", "nested body"],
)
def test_every_generation_reads_as_the_type_it_was_written_from(record: dict[str, Any]) -> None:
    assert record_to_schema(record) == Schema.from_type(S)


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("https://alt.science/schemas/atdata-ndarray-bytes/1.1.0#/$defs/ndarray", Array()),
        ("https://alt.science/schemas/atdata-structured-bytes/1.0.0#/$defs/structured", Array()),
        *(
            (f"https://alt.science/schemas/atdata-{name}/1.0.0#/$defs/x", PRIMITIVES["bytes"])
            for name in ("sparse-bytes", "safetensors", "arrow-tensor", "dataframe")
        ),
    ],
)
def test_array_formats_are_arrays_or_the_bytes_they_are_stored_in(
    reference: str, kind: FieldType
) -> None:
    record = {
        **THIRD_GENERATION,
        "schema": {"properties": {"x": {"$ref": reference}}, "required": ["x"]},
    }
    assert record_to_schema(record).fields == (Field("x", kind, optional=False),)


def test_the_order_of_fields_that_a_repository_lost_is_that_of_the_required_ones() -> None:
    properties = {"n": {"type": "integer"}, "a1": {"type": "string"}, "b": {"type": "boolean"}}
    lost = dict(sorted(properties.items(), key=lambda one: (len(one[0]), one[0])))
    record = {**THIRD_GENERATION, "schema": {"properties": lost, "required": ["n", "a1"]}}
    assert record_to_schema(record).names == ["n", "a1", "b"]


@pytest.mark.parametrize("key", ["$atdataSchemaVersion", "atdataSchemaVersion"])
@pytest.mark.parametrize("version", [2, 0, "1", True])
def test_a_form_newer_than_known_is_refused(key: str, version: object) -> None:
    with pytest.raises(SchemaError, match=r"[Aa]tdataSchemaVersion"):
        record_to_schema({**SECOND_GENERATION, key: version})


def with_property(value: Any, name: str = "x") -> dict[str, Any]:
    return {**SECOND_GENERATION, "schema": {"properties": {name: value}}}


def nested(depth: int) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


@pytest.mark.parametrize(
    "record",
    [
        with_property({"type": "object"}),
        with_property({}),
        with_property("string"),
        with_property({"$ref": "https://example.org/else"}),
        with_property(nested(40)),
        with_property({"type": ["string"]}),
        {**SECOND_GENERATION, "schema": {"properties": []}},
        {**SECOND_GENERATION, "schema": None},
        {**SECOND_GENERATION, "schema": {"properties": {}, "required": "x"}},
        {**FIRST_GENERATION, "fields": [1]},
        {**FIRST_GENERATION, "fields": [field("x", {"kind": "ref", "ref": "at://did:plc:a/b/c"})]},
        {**FIRST_GENERATION, "name": "__import__('os')"},
        {**FIRST_GENERATION, "fields": None},
    ],
)
def test_a_malformed_schema_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        record_to_schema(record)


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "self",
        "class",
        "packed",
        "from_data",
        "_ensure_good",
        "a b",
        "",
        "\ufb01",
        "\u0430",
        "x\n",
    ],
)
@pytest.mark.parametrize("form", ["fields", "properties"])
def test_d16_hostile_field_names_are_refused(name: str, form: str) -> None:
    if form == "fields":
        record = {**FIRST_GENERATION, "fields": [field(name, primitive("int"))]}
    else:
        record = with_property({"type": "integer"}, name)
    with pytest.raises(SchemaError, match="impossible field"):
        record_to_schema(record)


def test_x4_code_in_the_place_of_a_type_is_no_type() -> None:
    hostile = primitive("__import__('os').system('touch canary')")
    with pytest.raises(SchemaError, match="not supported"):
        record_to_schema({**FIRST_GENERATION, "fields": [field("x", hostile)]})


def test_a_record_of_another_kind_is_named_as_such() -> None:
    with pytest.raises(CorruptDataError, match="not a schema record"):
        record_to_schema({"$type": "ac.foundation.dataset.record"}, "at://did:plc:a/b/c")


def test_a_dict_field_has_no_form_on_the_network() -> None:
    schema = Schema.from_record(
        {"name": "D", "fields": [{"name": "x", "fieldType": {"kind": "dict"}}]}
    )
    with pytest.raises(TypeError, match=r"D\.x is a dict"):
        schema_to_record(schema, "1.0.0")


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"lr": 0.1}, FieldError),
        ({"n": 2**60}, FieldError),
        ({"$link": "bafy"}, FieldError),
        ({"a": {"$type": "blob"}}, FieldError),
        ({"x": "y" * 1_100_000}, LimitExceededError),
        (json.loads('{"a":' * 40 + "1" + "}" * 40), LimitExceededError),
    ],
)
def test_a9_what_no_record_can_hold_is_refused_before_it_is_sent(
    metadata: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        schema_to_record(Schema.from_type(S), "1.0.0", metadata=metadata)


def test_x5_a_version_is_a_semantic_version() -> None:
    with pytest.raises(InvalidNameError):
        schema_to_record(Schema.from_type(S), '1.0.0"""; import os')


def test_the_same_schema_is_the_same_name_version_and_fields() -> None:
    schema = Schema.from_type(S)
    assert is_same_schema(THIRD_GENERATION, schema, "1.0.0")
    assert not is_same_schema(THIRD_GENERATION, schema, "1.0.1")
    assert not is_same_schema({**THIRD_GENERATION, "name": "T"}, schema, "1.0.0")
    assert not is_same_schema(with_property({"type": "integer"}), schema, "1.0.0")


names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True).filter(
    lambda name: not why_not_field(name)
)
plain = st.sampled_from(list(PRIMITIVES.values()))
scalars = st.sampled_from([None, "float32", "float64", "uint8", "int64", "complex128", "bool"])
kinds = st.one_of(
    plain, scalars.map(Array), st.recursive(plain.map(List), lambda inner: inner.map(List))
)
schemas = st.lists(
    st.tuples(names, kinds, st.booleans()).map(lambda parts: Field(*parts)),
    unique_by=lambda f: f.name,
    max_size=8,
).map(lambda fields: Schema("T", tuple(fields)))


@given(schemas, st.text(max_size=50).filter(lambda text: "\0" not in text))
def test_any_schema_reads_back_as_it_was_written(schema: Schema, description: str) -> None:
    record = schema_to_record(schema, "1.2.3", description=description)
    assert record_to_schema(json.loads(json.dumps(record))) == schema


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["$type", "$ref", "type", "items", "fields", "properties", "schema", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["name", "fields", "schema", "version"]), values))
def test_whatever_a_schema_record_holds_nothing_but_our_errors_come_of_it(
    record: dict[str, Any],
) -> None:
    with suppress(AtdataError):
        record_to_schema({"$type": "ac.foundation.dataset.schema", **record})
