"""Schema records from anywhere: refused with a reason, or good in every way; never executed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples.audit import CODE, audited

from atdata import Schema
from atdata.errors import SchemaError

ORIGIN = "at://did:plc:stranger/ac.foundation.dataset.sampleSchema/1"
INT: dict[str, Any] = {"$type": "x#primitive", "primitive": "int"}
ATTACK = "__import__('os').system('touch {}')"

BAD_NAMES: list[Any] = [
    *("", " ", "a b", "a-b", "a.b", "1a", "a\n", "a;b", "x" * 101, "\ud800", "\0"),
    *("__class__", "__init__", "__post_init__", "__slots__", "__x"),
    *("self", "class", "def", "None", "True", "lambda", "import"),
    *("packed", "as_wds", "from_bytes", "from_data", "_ensure_good", "mro"),
    *("\ufb01le", "p\u0430cked", "a\u200bb", "größe", "\u00aa", "\U0001d41a", "a\u0301"),
    *(None, 7, 1.5, True, ["a"], {"a": 1}, b"a", 10**5000),
]


def field(name: Any, kind: Any = INT, **more: Any) -> dict[str, Any]:
    return {"name": name, "fieldType": kind, **more}


def record(*fields: Any, name: Any = "S") -> dict[str, Any]:
    return {"name": name, "fields": list(fields)}


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_d16_field_names_that_could_do_harm_are_refused(name: Any, optional: bool) -> None:
    with pytest.raises(SchemaError, match="schema S has an impossible field: "):
        Schema.from_record(record(field("good"), field(name, optional=optional)))


@pytest.mark.parametrize("pair", [("a", "a"), ("label", "Label"), ("AB", "ab")])
def test_d16_field_names_alike_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(SchemaError, match="too alike"):
        Schema.from_record(record(*map(field, pair)))


TYPE_NAMES: list[Any] = ["", "a b", "1", "class", "__x__", "größe", None, 3, ["S"], "S" * 101]


@pytest.mark.parametrize("name", TYPE_NAMES, ids=range(len(TYPE_NAMES)))
def test_d16_type_names_that_could_do_harm_are_refused(name: Any) -> None:
    with pytest.raises(SchemaError, match="impossible name"):
        Schema.from_record(record(field("x"), name=name))


# Names that mean something to dataclasses, to type, to msgpack or to the code around them.
SUSPECT = st.sampled_from(
    [
        *("mro", "cls", "type", "int", "str", "object", "property", "None_", "_", "_x", "_field"),
        *("MISSING", "_HAS_DEFAULT_FACTORY", "_type_x", "_dflt_x", "x", "field", "fields", "name"),
        *("values", "keys", "items", "get", "samples", "match", "case", "print", "super", "id"),
        *("_data", "_codec", "_type_MISSING", "args", "kwargs", "sample", "dataclasses", "other"),
    ]
)
NAMES = st.lists(
    SUSPECT | st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,12}\Z"),
    min_size=1,
    max_size=6,
    unique_by=str.lower,
)


@given(NAMES, st.lists(st.booleans(), min_size=6, max_size=6))
def test_d16_accepted_names_construct_pack_and_pickle(
    names: list[str], optional: list[bool]
) -> None:
    pairs = zip(names, optional, strict=False)
    try:
        schema = Schema.from_record(record(*(field(n, optional=o) for n, o in pairs)))
    except SchemaError:
        return
    made: Any = schema.to_type(ORIGIN)
    values = {name: number for number, name in enumerate(names)}
    sample = made(**values)
    assert vars(sample) == values == vars(made(*values.values()))
    assert made.from_bytes(sample.packed) == sample
    assert made.from_data(values) == sample
    assert pickle.loads(pickle.dumps(sample)) == sample
    assert repr(sample) == f"S({', '.join(f'{n}={v}' for n, v in values.items())})"


def deep(levels: int) -> Any:
    kind: Any = INT
    for _ in range(levels):
        kind = {"$type": "x#array", "items": kind}
    return kind


def lists(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


BAD_KINDS: list[Any] = [
    *(None, "int", 7, [], {}, {"$type": "x"}, {"$type": ["x#primitive"]}, {"kind": {"a": 1}}),
    *({"$type": "x#primitive"}, {**INT, "primitive": "INT"}, {**INT, "primitive": "complex"}),
    *({**INT, "primitive": 7}, {**INT, "primitive": ["int"]}, {**INT, "primitive": None}),
    *({**INT, "primitive": "dict"}, {**INT, "primitive": ATTACK}, {**INT, "primitive": "\ud800"}),
    *({"$type": "x#ref", "ref": "at://x/y/z"}, {"$type": ATTACK}, {"$type": f"x#{ATTACK}"}),
    *({"$type": "x#array"}, {"$type": "x#array", "items": {"$type": "x#ndarray"}}),
    *({"$type": "x#primitive#ndarrays", "primitive": "int"}, {"kind": "__class__"}),
    *({"$type": "x#ndarray", "scalarType": name} for name in ("object_", "load", "ctypeslib", "")),
    *({"$type": "x#ndarray", "scalarType": name} for name in ("__loader__", "generic", ATTACK)),
    *({"$type": "x#ndarray", "scalarType": name} for name in (7, ["float32"], {"a": 1}, "os")),
    *(deep(17), deep(100_000), {"kind": lists(100_000)}, {**INT, "primitive": lists(100_000)}),
    *({"$type": "x#ndarray", "scalarType": lists(100_000)}, {"kind": 10**5000}),
]


@pytest.mark.parametrize("kind", BAD_KINDS, ids=range(len(BAD_KINDS)))
def test_x4_kinds_that_are_unknown_are_refused_and_nothing_is_run(kind: Any) -> None:
    with audited() as events, pytest.raises(SchemaError, match=r"S\.x"):
        Schema.from_record(record(field("x", kind)))
    assert not CODE & set(events)


BAD_RECORDS: list[Any] = [
    *(None, [], "S", 7, b"{}"),
    *({"name": "S"}, {"name": "S", "fields": None}, {"name": "S", "fields": {"x": INT}}),
    *({"name": "S", "fields": "x"}, record(None), record("x"), record(["x", INT]), record({})),
    *(record(field("x", optional=flag)) for flag in (None, 0, 1, "yes", lists(100_000))),
    record(*(field(f"f{number}") for number in range(100_000))),
]


@pytest.mark.parametrize("bad", BAD_RECORDS, ids=range(len(BAD_RECORDS)))
def test_records_of_another_form_are_refused(bad: Any) -> None:
    with pytest.raises(SchemaError):
        Schema.from_record(bad)


def test_as_many_fields_and_levels_as_are_allowed_make_a_class() -> None:
    fields = [field(f"f{number}", optional=True) for number in range(999)]
    made: Any = Schema.from_record(record(*fields, field("deep", deep(16)))).to_type(ORIGIN)
    nested: Any = [1]
    for _ in range(15):
        nested = [nested]
    sample = made.from_data({"deep": nested, "f7": 7})
    assert (sample.f7, sample.f8) == (7, None)
    assert made.from_bytes(sample.packed) == sample


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text()
            | st.sampled_from(["name", "fields", "fieldType", "$type", "kind", "optional"]),
            inner | st.sampled_from(["x#primitive", "x#array", "x#ndarray", "int", "S"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_schema_or_an_error(value: Any) -> None:
    for made in (value, {"name": "S", "fields": value}, record(value), record(field("x", value))):
        try:
            schema = Schema.from_record(made)
        except SchemaError:
            continue
        json.dumps(schema.to_fields())
