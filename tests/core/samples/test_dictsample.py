"""Untyped samples: whatever the data holds, as attributes and as items, and never changed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atdata import DictSample, Packable, packable
from atdata.errors import FieldError
from atdata.samples.arrays import array_to_bytes

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(TEXT, VALUES, max_size=5)


@given(DATA)
def test_untyped_samples_come_back_as_they_were(data: dict[str, Any]) -> None:
    sample = DictSample.from_data(data)
    again = DictSample.from_bytes(sample.packed)
    assert again == sample == DictSample(data)
    assert again.keys() == list(data)
    assert sample.packed == msgpack.packb(data)
    assert isinstance(sample, Packable)


@given(DATA)
def test_untyped_samples_copy_and_pickle(data: dict[str, Any]) -> None:
    sample = DictSample(data)
    for again in (copy.copy(sample), copy.deepcopy(sample), pickle.loads(pickle.dumps(sample))):
        assert again == sample


def test_fields_are_read_as_attributes_items_and_a_dict() -> None:
    sample = DictSample({"label": "cat"}, score=0.5)
    assert (sample.label, sample["score"]) == ("cat", 0.5)
    assert (sample.get("label"), sample.get("none"), sample.get("none", 1)) == ("cat", None, 1)
    assert sample.keys() == list(sample) == ["label", "score"]
    assert sample.values() == ["cat", 0.5]
    assert sample.items() == [("label", "cat"), ("score", 0.5)]
    assert dict(sample) == sample.to_dict() == {"label": "cat", "score": 0.5}
    assert ("label" in sample, "none" in sample, len(sample)) == (True, False, 2)
    assert {"label", "score", "packed"} <= {*dir(sample)}
    assert repr(sample) == "DictSample(label='cat', score=0.5)"


def test_what_webdataset_writes_has_a_key_and_packed_bytes() -> None:
    raw = DictSample(a=1).as_wds
    assert raw.keys() == {"__key__", "msgpack"}
    assert raw["msgpack"] == DictSample(a=1).packed


def test_fields_named_like_methods_are_reached_as_items() -> None:
    names = ["keys", "items", "values", "get", "packed", "_data", "__class__", "self "]
    sample = DictSample(dict.fromkeys(names, 7))
    assert [sample[name] for name in names] == [7] * len(names)
    assert sample.keys() == names
    assert sample.items() == [(name, 7) for name in names]
    assert DictSample.from_bytes(sample.packed) == sample


def test_absent_fields_are_attribute_and_key_errors_that_list_the_others() -> None:
    sample = DictSample(label="cat")
    with pytest.raises(AttributeError, match="no field 'lable'; it has label"):
        _ = sample.lable
    with pytest.raises(AttributeError, match="it has none"):
        _ = DictSample().label
    with pytest.raises(KeyError, match="lable"):
        _ = sample["lable"]
    assert not hasattr(sample, "__array__")


def test_untyped_samples_cannot_be_changed() -> None:
    sample: Any = DictSample(label="cat")
    with pytest.raises(AttributeError, match="cannot be changed"):
        sample.label = "dog"
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(sample, "_data", {})  # noqa: B010 -- as hasattr would not show it
    with pytest.raises(AttributeError, match="cannot be changed"):
        delattr(sample, "_data")
    with pytest.raises(TypeError):
        sample["label"] = "dog"
    with pytest.raises(TypeError, match="unhashable"):
        hash(sample)
    sample.to_dict()["label"] = "dog"
    given_data = {"label": "cat"}
    kept = DictSample(given_data)
    given_data["label"] = "dog"
    assert sample == kept == DictSample(label="cat")


def test_arrays_given_are_packed_and_read_as_bytes() -> None:
    array = np.arange(3)
    sample = DictSample(image=array)
    stored = DictSample.from_bytes(sample.packed)
    assert stored.image == array_to_bytes(array)
    assert sample == DictSample(image=array.copy())
    assert sample != stored
    assert repr(stored) == f"DictSample(image=<{len(stored.image)} bytes>)"


def test_arrays_stay_bytes_until_a_typed_class_reads_them() -> None:
    @packable
    class Typed:
        image: NDArray[Any]
        label: str

    one: Any = Typed(np.arange(3), "cat")
    assert Typed.from_data(DictSample.from_bytes(one.packed).to_dict()) == one  # type: ignore[attr-defined]


def test_numpy_scalars_and_tuples_become_those_of_python() -> None:
    sample = DictSample(a=np.float32(0.5), b=(np.int8(1), np.bool_(1)), c=np.str_("x"))
    assert DictSample.from_bytes(sample.packed).to_dict() == {"a": 0.5, "b": [1, True], "c": "x"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": object()}, r"DictSample\['a'\]: expected None, bool, .* got object"),
        ({"a": [1, {1}]}, r"DictSample\['a'\]\[1\]: expected None"),
        ({"a": {1: 2}}, r"DictSample\['a'\]: expected str keys in a dict, got int 1"),
        ({1: 2}, r"DictSample: expected str keys in a dict, got int 1"),
        ({"a": np.array([object()])}, r"DictSample\['a'\]: object-dtype"),
        ({"a": [np.zeros(2)]}, r"DictSample\['a'\]\[0\]: .* got float64 array of shape"),
        ({"a": 2**64}, "cannot be packed"),
        ({"a": "\ud800"}, "cannot be packed"),
    ],
)
def test_values_that_cannot_be_stored_are_named(data: Any, message: str) -> None:
    with pytest.raises(FieldError, match=message):
        _ = DictSample(data).packed


def test_equality_is_with_untyped_samples_alone() -> None:
    assert DictSample(a=1) != {"a": 1}
    assert DictSample(a=1) != DictSample(a=2)
    assert DictSample(a=1) != DictSample(b=1)
    assert DictSample(a=float("nan")) == DictSample(a=float("nan"))


def test_a_subclass_stays_itself() -> None:
    again = pickle.loads(pickle.dumps(Tagged(a=1)))
    assert (type(again), type(Tagged.from_bytes(again.packed))) == (Tagged, Tagged)


class Tagged(DictSample):
    pass
