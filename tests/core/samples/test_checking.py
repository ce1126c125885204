"""Values are checked against their fields when a sample is packed and when it is unpacked."""

# Users write NDArray and dict without arguments, as the documentation does.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import enum
import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.samples.any_arrays import STRUCTURED_DTYPES, arrays
from tests.core.samples.one_field import one_field

from atdata import packable
from atdata.errors import CorruptDataError, FieldError
from atdata.samples.arrays import array_to_bytes


@packable
class Everything:
    text: str
    number: int
    real: float
    flag: bool
    raw: bytes
    array: NDArray
    tags: list[str]
    grid: list[list[int]]
    more: dict
    maybe: NDArray | None = None
    note: str | None = None


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INT64 = st.integers(-(2**63), 2**64 - 1)
NESTED = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats() | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
SAMPLES = st.builds(
    Everything,
    text=TEXT,
    number=INT64,
    real=st.floats(),
    flag=st.booleans(),
    raw=st.binary(),
    array=arrays(STRUCTURED_DTYPES),
    tags=st.lists(TEXT),
    grid=st.lists(st.lists(INT64)),
    more=st.dictionaries(TEXT, NESTED),
    maybe=st.none() | arrays(),
    note=st.none() | TEXT,
)


@given(SAMPLES)
def test_samples_come_back_as_they_were(sample: Everything) -> None:
    got = Everything.from_bytes(sample.packed)  # type: ignore[attr-defined]
    assert got == sample
    assert list(vars(got)) == list(vars(sample))
    assert repr(got) == repr(sample)
    assert got.packed == sample.packed  # type: ignore[attr-defined]


@given(SAMPLES)
def test_any_msgpack_reader_understands_what_is_packed(sample: Any) -> None:
    raw = msgpack.unpackb(sample.packed)
    assert raw.keys() == vars(sample).keys()
    assert raw["number"] == sample.number
    assert raw["text"] == sample.text
    assert raw["array"] == array_to_bytes(sample.array)


@given(SAMPLES)
def test_unpacked_values_make_a_sample_too(sample: Any) -> None:
    assert Everything.from_data(vars(sample)) == sample  # type: ignore[attr-defined]
    assert Everything.from_data(msgpack.unpackb(sample.packed)) == sample  # type: ignore[attr-defined]


class Colour(str, enum.Enum):  # noqa: UP042 -- one whose str() is not its text
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


NEAR: list[tuple[Any, Any, Any]] = [
    (int, np.int8(-3), -3),
    (int, np.uint64(2**64 - 1), 2**64 - 1),
    (int, Level.HIGH, 3),
    (float, 3, 3.0),
    (float, -(2**53), -(2.0**53)),
    (float, np.float16(0.5), 0.5),
    (float, np.float32(0.1), float(np.float32(0.1))),
    (float, np.longdouble(0.5), 0.5),
    (float, np.int64(7), 7.0),
    (float, math.inf, math.inf),
    (bool, np.True_, True),
    (str, np.str_("a"), "a"),
    (str, Colour.RED, "red"),
    (bytes, bytearray(b"ab"), b"ab"),
    (bytes, memoryview(b"abcd")[::2], b"ac"),
    (bytes, np.bytes_(b"ab"), b"ab"),
    (list[int], (1, np.int32(2)), [1, 2]),
    (list[list[float]], [(1, 2.5)], [[1.0, 2.5]]),
    (
        dict,
        {"a": (np.int8(1), np.float32(0.5), np.bool_(1), np.str_("s"))},
        {"a": [1, 0.5, True, "s"]},
    ),
    (int | None, None, None),
    (int | None, np.int8(1), 1),
]


@pytest.mark.parametrize(("annotation", "given_value", "kept"), NEAR)
def test_near_values_become_those_of_python(annotation: Any, given_value: Any, kept: Any) -> None:
    cls = one_field(annotation)
    for sample in (cls.from_bytes(cls(given_value).packed), cls.from_data({"x": given_value})):
        assert sample.x == kept
        assert type(sample.x) is type(kept)


WRONG: list[tuple[Any, Any, str, str]] = [
    (str, b"a", "str", "bytes b'a'"),
    (str, None, "str", "None"),
    (str, "\ud800", "str", "str '\\ud800' (a lone surrogate has no UTF-8 form)"),
    (int, True, "int", "bool True"),
    (int, 1.0, "int", "float 1.0"),
    (int, "1", "int", "str '1'"),
    (int, np.True_, "int", "bool"),
    (int, np.timedelta64(1, "s"), "int", "timedelta64"),
    (int, 2**64, "int of at most 64 bits", "int 18446744073709551616"),
    (int, -(2**63) - 1, "int of at most 64 bits", "int -9223372036854775809"),
    (int, 10**5000, "int of at most 64 bits", "int"),
    (int | None, "1", "int or None", "str '1'"),
    (float, True, "float", "bool True"),
    (float, "1", "float", "str '1'"),
    (float, np.timedelta64(1, "s"), "float", "timedelta64"),
    (float, 1j, "float", "complex"),
    (float, 2**53 + 1, "float", "int 9007199254740993 (a 64-bit float cannot hold it exactly)"),
    (float, 10**400, "float", "int (a 64-bit float cannot hold it exactly)"),
    (float, np.longdouble(1) / 3, "float", "longdouble (a 64-bit float cannot hold it exactly)"),
    (bool, 1, "bool", "int 1"),
    (bool, None, "bool", "None"),
    (bytes, "a", "bytes", "str 'a'"),
    (bytes, np.zeros(2, "u1"), "bytes", "uint8 array of shape (2,)"),
    (NDArray, [1, 2], "NDArray", "list (np.asarray makes one)"),
    (NDArray, np.float32(1), "NDArray", "float32 (np.asarray makes one)"),
    (NDArray, None, "NDArray", "None (np.asarray makes one)"),
    (list[str], "ab", "list[str]", "str 'ab'"),
    (list[str], {"a"}, "list[str]", "set"),
    (list[int], np.arange(2), "list[int]", "int64 array of shape (2,)"),
    (dict, [("a", 1)], "dict", "list"),
    (list[str] | None, 1, "list[str] or None", "int 1"),
    (str, 7, "str", "int 7"),
]


@pytest.mark.parametrize(("annotation", "value", "expected", "got"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_value_is_named_with_its_type_and_field(
    annotation: Any, value: Any, expected: str, got: str
) -> None:
    with pytest.raises(FieldError) as caught:
        _ = one_field(annotation)(value).packed
    assert str(caught.value) == f"S.x: expected {expected}, got {got}"
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    error: Any = caught.value
    assert (error.sample_type, error.field, error.expected) == ("S", "x", expected)
    assert error.value_type == type(value).__name__


INSIDE: list[tuple[Any, Any, str]] = [
    (list[str], ["a", "b", 3], "S.x[2]: expected str, got int 3"),
    (list[list[int]], [[1], [2, None]], "S.x[1][1]: expected int, got None"),
    (list[int] | None, [1, "2"], "S.x[1]: expected int, got str '2'"),
    (dict, {"a": {"b": [1, object()]}}, "S.x['a']['b'][1]: expected None, bool, int, float, str, "),
    (dict, {"a": {1: 2}}, "S.x['a']: expected str keys in a dict, got int 1"),
    (list[dict], [{}, {"k": {1}}], "S.x[1]['k']: expected None, bool, int, float, str, "),
    (dict, {"a" * 99: 1j}, f"S.x['{'a' * 39}]: expected None, bool, int, float, str, "),
]


@pytest.mark.parametrize(("annotation", "value", "message"), INSIDE)
def test_a_wrong_value_inside_is_found_by_its_path(
    annotation: Any, value: Any, message: str
) -> None:
    with pytest.raises(FieldError) as caught:
        _ = one_field(annotation)(value).packed
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 2**64},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": np.zeros(2)},
        {"a": np.timedelta64(1, "ns")},
        {"a": np.datetime64(1, "ns")},
        {"a": np.longdouble(1)},
        {"a": 1j},
        {"a": Level},
        {1: 1},
        {b"a": 1},
    ],
)
def test_a_dict_holds_only_what_msgpack_holds(value: Any) -> None:
    with pytest.raises(FieldError, match=r"^S\.x"):
        _ = one_field(dict)(value).packed


def test_nesting_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["more"] = [endless]
    with pytest.raises(FieldError, match="expected at most 100 levels of nesting"):
        _ = one_field(dict)(endless).packed


def test_deep_nesting_comes_back_as_deep_as_it_may_be_packed() -> None:
    value: Any = 1
    for _ in range(99):
        value = [value]
    cls = one_field(dict)
    assert cls.from_bytes(cls({"x": value}).packed).x == {"x": value}
    with pytest.raises(FieldError, match="nesting"):
        _ = cls({"x": [value]}).packed
    with pytest.raises(FieldError, match="nesting"):
        cls.from_bytes(msgpack.packb({"x": {"x": [value]}}))


RAW: list[tuple[Any, Any]] = [
    *((str, raw) for raw in (b"a", 1, None, 1.5, [1], {"a": 1})),
    *((int, raw) for raw in ("1", True, 1.0, None, b"1", [1])),
    *((float, raw) for raw in ("1", True, None, b"1", 2**53 + 1)),
    *((bool, raw) for raw in (0, 1, "true", None)),
    *((bytes, raw) for raw in ("a", 1, None, [1])),
    *((NDArray, raw) for raw in ("a", 1, None, [1, 2], {"shape": 1})),
    *((list[int], raw) for raw in ("a", 1, None, [1, "2"], {"a": 1}, [[1]])),
    *((dict, raw) for raw in ("a", 1, None, [1])),
    (list[list[str]], [["a"], "b"]),
]


def test_arrays_that_cannot_be_stored_are_named_with_their_field() -> None:
    with pytest.raises(
        FieldError, match=r"^S\.x: expected NDArray, got object array .*never stored"
    ):
        _ = one_field(NDArray)(np.array([object()])).packed


@pytest.mark.parametrize(("annotation", "raw"), RAW, ids=range(len(RAW)))
def test_data_of_another_type_is_refused_when_it_is_read(annotation: Any, raw: Any) -> None:
    with pytest.raises(FieldError, match=r"^S\.x.*expected .*, got "):
        one_field(annotation).from_bytes(msgpack.packb({"x": raw}))


def test_damaged_array_bytes_are_refused_with_their_field() -> None:
    with pytest.raises(CorruptDataError, match=r"^S\.x: array bytes"):
        one_field(NDArray).from_bytes(msgpack.packb({"x": b"\x93NUMPY"}))


def test_smaller_encodings_of_other_writers_are_read() -> None:
    cls = one_field(float)
    assert cls.from_bytes(msgpack.packb({"x": 3})).x == 3.0
    assert cls.from_bytes(msgpack.packb({"x": 0.5}, use_single_float=True)).x == 0.5
    assert one_field(int).from_bytes(msgpack.packb({"x": 300})).x == 300


def test_a_value_that_was_changed_is_checked_again_when_packed() -> None:
    sample = one_field(int)(1)
    sample.x = "two"
    with pytest.raises(FieldError, match=r"S\.x"):
        _ = sample.packed


def test_arrays_of_more_than_32_bit_lengths_are_refused_before_they_are_copied() -> None:
    untouched = np.empty(2**32, np.uint8)
    with pytest.raises(FieldError, match="at most 4294967295 bytes"):
        _ = one_field(NDArray)(untouched).packed
