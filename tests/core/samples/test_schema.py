"""Schemas of sample types: as records of every generation, and as classes again."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atdata import DictSample, Schema, packable
from atdata.errors import FieldError, SampleTypeError
from atdata.samples.codec import Field
from atdata.samples.fields import PRIMITIVES, SCALARS, Array, Dict, FieldType, List
from atdata.samples.identifiers import why_not_field

ORIGIN = "atdata://local/schema/S@1.0.0"

# What releases 0.2 to 0.7 stored for class S below.
PRIMITIVE = {name: {"$type": "local#primitive", "primitive": name} for name in PRIMITIVES}
ARRAY = {"$type": "local#ndarray", "dtype": "float32"}
FIELDS: list[dict[str, Any]] = [
    {"name": "image", "fieldType": ARRAY, "optional": False},
    {"name": "label", "fieldType": PRIMITIVE["str"], "optional": False},
    {"name": "conf", "fieldType": PRIMITIVE["float"], "optional": False},
    {
        "name": "tags",
        "fieldType": {"$type": "local#array", "items": PRIMITIVE["str"]},
        "optional": False,
    },
    {"name": "opt", "fieldType": ARRAY, "optional": True},
    {"name": "raw", "fieldType": PRIMITIVE["bytes"], "optional": False},
    {"name": "n", "fieldType": PRIMITIVE["int"], "optional": False},
    {"name": "ok", "fieldType": PRIMITIVE["bool"], "optional": False},
]
RECORD: dict[str, Any] = {"name": "S", "version": "1.0.0", "fields": FIELDS, "description": "Doc."}


@packable
class S:
    image: NDArray[Any]
    label: str
    conf: float
    tags: list[str]
    opt: NDArray[Any] | None
    raw: bytes
    n: int
    ok: bool


VALUES: dict[str, Any] = {
    "image": np.zeros((2, 3), "f4"),
    "label": "é",
    "conf": 0.5,
    "tags": ["a"],
    "opt": None,
    "raw": b"\0",
    "n": 3,
    "ok": True,
}

NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z").filter(lambda n: not why_not_field(n))
TYPES: st.SearchStrategy[FieldType] = st.recursive(
    st.sampled_from([*PRIMITIVES.values(), Dict()]), lambda inner: inner.map(List), max_leaves=4
) | st.sampled_from(list(SCALARS.values())).map(Array)
FIELD = st.tuples(NAMES, TYPES, st.booleans()).map(lambda parts: Field(*parts))
SCHEMAS = st.tuples(
    st.sampled_from(["S", "Sample", "A1_"]),
    st.lists(FIELD, max_size=8, unique_by=lambda field: field.name.lower()),
).map(lambda parts: Schema(parts[0], tuple(parts[1])))


def test_fields_are_written_as_earlier_releases_did() -> None:
    assert json.dumps(Schema.from_type(S).to_fields()) == json.dumps(FIELDS)


def test_records_of_earlier_releases_are_read() -> None:
    assert Schema.from_record(RECORD) == Schema.from_type(S)


@pytest.mark.parametrize(
    "prefix", ["local", "ac.foundation.dataset.schemaType", "science.alt.dataset.schema", ""]
)
def test_any_prefix_of_kinds_is_written_and_read(prefix: str) -> None:
    fields = Schema.from_type(S).to_fields(prefix)
    assert fields[0]["fieldType"]["$type"] == f"{prefix}#ndarray"
    assert Schema.from_record({"name": "S", "fields": fields}) == Schema.from_type(S)


@pytest.mark.parametrize("tag", [{}, {"$type": "schemaType"}, {"$type": 7}])
def test_kinds_without_a_prefix_are_read(tag: dict[str, Any]) -> None:
    kind = {**tag, "kind": "array", "items": {"kind": "primitive", "primitive": "int"}}
    schema = Schema.from_record({"name": "S", "fields": [{"name": "x", "fieldType": kind}]})
    assert str(schema) == "S(x: list[int])"


@given(SCHEMAS)
def test_a_schema_survives_its_record(schema: Schema) -> None:
    record = json.loads(json.dumps({"name": schema.name, "fields": schema.to_fields()}))
    assert Schema.from_record(record) == schema
    assert hash(Schema.from_record(record)) == hash(schema)


@given(SCHEMAS)
def test_a_schema_survives_its_class(schema: Schema) -> None:
    made = schema.to_type(ORIGIN)
    assert Schema.from_type(made) == schema
    assert (made.__name__, made) == (schema.name, schema.to_type(ORIGIN))
    assert schema.names == [field.name for field in schema.fields]


@given(SCHEMAS)
def test_classes_made_from_schemas_pickle(schema: Schema) -> None:
    made = schema.to_type(ORIGIN)
    assert pickle.loads(pickle.dumps(made)) is made


def test_restricted_dtypes_are_written_beside_the_names_older_readers_know() -> None:
    @packable
    class Restricted:
        single: NDArray[np.float32]
        flags: NDArray[np.bool_]
        text: NDArray[np.str_]

    assert [field["fieldType"] for field in Schema.from_type(Restricted).to_fields()] == [
        {"$type": "local#ndarray", "dtype": "float32", "scalarType": "float32"},
        {"$type": "local#ndarray", "dtype": "bool", "scalarType": "bool"},
        {"$type": "local#ndarray", "dtype": "float32", "scalarType": "str_"},
    ]


def test_the_dtype_of_earlier_releases_restricts_nothing() -> None:
    record = {"name": "S", "fields": [{"name": "x", "fieldType": ARRAY}]}
    made: Any = Schema.from_record(record).to_type(ORIGIN)
    assert made.from_bytes(made(np.zeros(2, "i8")).packed).x.dtype == np.int64


def test_data_of_the_type_is_read_by_the_class_made_from_its_schema() -> None:
    sample: Any = S(**VALUES)
    made: Any = Schema.from_type(S).to_type(ORIGIN)
    decoded = made.from_bytes(sample.packed)
    assert vars(decoded).keys() == VALUES.keys()
    assert decoded == made(**VALUES)
    assert decoded.packed == sample.packed
    assert decoded != sample


def test_an_optional_field_before_a_required_one_decodes() -> None:
    fields = [
        {"name": "first", "fieldType": PRIMITIVE["int"], "optional": True},
        {"name": "second", "fieldType": PRIMITIVE["str"], "optional": False},
        {"name": "third", "fieldType": ARRAY, "optional": True},
    ]
    made: Any = Schema.from_record({"name": "S", "fields": fields}).to_type(ORIGIN)
    assert made(None, "a") == made(None, "a", None)
    assert made.from_data({"second": "a"}) == made(None, "a")
    with pytest.raises(FieldError, match="misses 'second'"):
        made.from_data({"first": 1})


def test_instances_of_decoded_classes_pickle_into_a_fresh_process() -> None:
    made: Any = Schema.from_type(S).to_type(ORIGIN)
    script = (
        "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s.label, type(s).__name__)"
    )
    shown = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script],
        input=pickle.dumps(made(**VALUES)),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert shown.decode().split() == ["é", "S"]
    assert pickle.loads(pickle.dumps(made(**VALUES))) == made(**VALUES)


def test_classes_derived_from_a_decoded_one_pickle_as_themselves() -> None:
    assert pickle.loads(pickle.dumps(Derived)) is Derived
    assert pickle.loads(pickle.dumps(Derived(**VALUES))) == Derived(**VALUES)


Decoded: Any = Schema.from_type(S).to_type("atdata://local/schema/Derived@1.0.0")


@packable
class Derived(Decoded):  # type: ignore[misc]
    def shout(self) -> str:
        return str(self.label).upper()


def test_all_threads_get_the_same_class() -> None:
    with ThreadPoolExecutor(16) as pool:
        for version in range(50):
            origin = f"atdata://local/schema/S@{version}.0.0"
            made = set(pool.map(Schema.from_record(RECORD).to_type, [origin] * 16))
            assert len(made) == 1


def test_classes_of_two_origins_or_two_field_lists_are_two_classes() -> None:
    mine = Schema.from_record(RECORD)
    other = Schema.from_record({**RECORD, "fields": FIELDS[:-1]})
    assert mine.to_type("a") is not mine.to_type("b")
    assert mine.to_type("a") is not other.to_type("a")


def test_a_strangers_schema_of_one_name_changes_nothing_of_ours() -> None:
    before = Schema.from_record(RECORD).to_type("ours")
    reversed_record = {**RECORD, "fields": FIELDS[::-1]}
    stranger: Any = Schema.from_record(reversed_record).to_type("theirs")
    assert Schema.from_record(RECORD).to_type("ours") is before
    assert stranger.from_bytes(before(**VALUES).packed).label == "é"


def test_untyped_samples_have_a_schema_without_fields() -> None:
    schema = Schema.from_type(DictSample)
    assert (str(schema), schema.to_type("anywhere")) == ("DictSample()", DictSample)


@pytest.mark.parametrize("kind", [int, "S", None, S(**VALUES), list[int]])
def test_only_sample_types_have_a_schema(kind: Any) -> None:
    with pytest.raises(SampleTypeError, match="is not a sample type; decorate it with @packable"):
        Schema.from_type(kind)


def test_the_difference_of_two_schemas_is_told_in_words() -> None:
    one = Schema("S", (Field("a", PRIMITIVES["int"]), Field("b", Array("float32"), True)))
    other = Schema("S", (Field("a", PRIMITIVES["str"]), Field("c", PRIMITIVES["int"])))
    assert one.difference(other) == ("-a: int, -b: NDArray[float32] | None, +a: str, +c: int")
    assert one.difference(one) == ""
    assert one.difference(Schema("S", one.fields[::-1])) == "the same fields in another order"


def test_a_dict_field_has_a_record_of_its_own_kind() -> None:
    @packable
    class WithDict:
        more: dict[str, Any]

    assert Schema.from_type(WithDict).to_fields()[0]["fieldType"] == {"$type": "local#dict"}
