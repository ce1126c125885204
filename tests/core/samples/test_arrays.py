"""Arrays of every dtype come back bit for bit, in the bytes numpy itself would write."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples.any_arrays import PLAIN_DTYPES, STRUCTURED_DTYPES, Array, arrays

from atdata.errors import CorruptDataError, FieldError
from atdata.samples.arrays import array_to_bytes, bytes_to_array, is_equal


def saved(array: Array) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    out.seek(0)
    return out.read()


def compact(array: Array) -> bytes:
    """Encode an array as releases from 0.3 to 0.7 did."""
    name = array.dtype.str.encode()
    shape = struct.pack(f"<{array.ndim}q", *array.shape)
    return b"".join([bytes([len(name)]), name, bytes([array.ndim]), shape, array.tobytes()])


def assert_identical(got: Array, array: Array) -> None:
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()


@given(arrays())
def test_arrays_of_plain_dtypes_are_the_bytes_of_np_save(array: Array) -> None:
    assert array_to_bytes(array) == saved(array)


@given(arrays(PLAIN_DTYPES | STRUCTURED_DTYPES))
def test_arrays_come_back_bit_for_bit(array: Array) -> None:
    got = bytes_to_array(array_to_bytes(array))
    assert_identical(got, array)
    assert got.flags.writeable


@given(arrays(STRUCTURED_DTYPES))
def test_numpy_reads_arrays_of_compound_dtypes(array: Array) -> None:
    assert_identical(np.load(io.BytesIO(array_to_bytes(array)), allow_pickle=False), array)


@given(arrays(STRUCTURED_DTYPES))
def test_what_numpy_wrote_of_compound_dtypes_is_read(array: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of names that need version 3.0
        data = saved(array)
    assert_identical(bytes_to_array(data), array)


@given(arrays())
def test_the_compact_form_of_earlier_releases_is_read(array: Array) -> None:
    if array.dtype.kind != "V":
        assert_identical(bytes_to_array(compact(array)), array)


def test_fortran_order_is_kept() -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    got = bytes_to_array(array_to_bytes(array))
    assert got.flags.f_contiguous
    assert not got.flags.c_contiguous


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(version: tuple[int, int]) -> None:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(out, np.arange(6), version=version)
    assert_identical(bytes_to_array(out.getvalue()), np.arange(6))


def test_python_2_sizes_and_padding_of_headers_do_not_matter() -> None:
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, ), }\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8)
    assert_identical(bytes_to_array(data), np.zeros(2, "<i4"))


def test_nan_payloads_infinities_and_negative_zero_survive() -> None:
    bits = np.array(
        [0x7FF8DEADBEEF0001, 0xFFF0000000000000, 0x8000000000000000, 0x7FF0000000000001], "<u8"
    )
    got = bytes_to_array(array_to_bytes(bits.view("<f8")))
    assert got.view("<u8").tolist() == bits.tolist()


def test_padding_between_aligned_fields_is_kept() -> None:
    array = np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    assert bytes_to_array(array_to_bytes(array)).dtype.itemsize == array.dtype.itemsize


def test_what_is_read_shares_memory_with_nobody() -> None:
    data = array_to_bytes(np.arange(3))
    first, second = bytes_to_array(data), bytes_to_array(data)
    first[:] = 7
    assert second.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 2], [3, 4]]).view(np.matrix),
        np.asfortranarray(np.ones((2, 3))).view(np.matrix),
        np.zeros(2, [("a", "<i4")]).view(np.recarray),
    ],
    ids=["matrix", "Fortran matrix", "recarray"],
)
def test_subclasses_are_stored_as_plain_arrays(array: Array) -> None:
    got = bytes_to_array(array_to_bytes(array))
    assert type(got) is np.ndarray
    assert got.tobytes() == array.tobytes()


UNSTORABLE: dict[str, tuple[Any, str]] = {
    "objects": (np.array([object()]), "object-dtype"),
    "objects in fields": (np.zeros(1, [("a", "i4"), ("b", object)]), "object-dtype"),
    "strings of any length": (np.array(["a"], np.dtypes.StringDType()), "StringDType"),
    "no bytes": (np.zeros(2, "V0"), "no bytes"),
    "no fields": (np.zeros(2, []), "no bytes"),
    "a mask": (np.ma.masked_array([1, 2], [True, False]), "filled"),
    "overlapping fields": (
        np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]}),
        "cannot be described",
    ),
    "too many fields": (np.zeros(1, [(f"field{i}", "i4") for i in range(1000)]), "too long"),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_arrays_that_npy_cannot_hold_are_refused(case: str) -> None:
    array, reason = UNSTORABLE[case]
    with pytest.raises(FieldError, match=reason):
        array_to_bytes(array)


@given(arrays(PLAIN_DTYPES | STRUCTURED_DTYPES))
def test_an_array_equals_its_copy_whatever_bits_it_has(array: Array) -> None:
    assert is_equal(array, array.copy())


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.zeros(2), np.zeros(3), False),
        (np.zeros(2, "f4"), np.zeros(2, "f8"), False),
        (np.zeros(2), np.ones(2), False),
        (np.zeros(2), [0.0, 0.0], False),
        (None, np.zeros(2), False),
        (np.array([(np.nan,)], [("a", "f8")]), np.array([(np.nan,)], [("a", "f8")]), True),
        (np.array([(1.0,)], [("a", "f8")]), np.array([(2.0,)], [("a", "f8")]), False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1], [1, 2], False),
        ({"a": np.zeros(2)}, {"a": np.zeros(2)}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
    ],
)
def test_values_are_equal_as_their_elements_are(a: object, b: object, equal: bool) -> None:
    assert is_equal(a, b) is equal
    assert is_equal(b, a) is equal


@given(st.integers(0, 300), st.sampled_from(["C", "F"]))
def test_array_bytes_cut_short_are_never_an_array(cut: int, order: Any) -> None:
    data = array_to_bytes(np.ones((3, 5), order=order))
    with pytest.raises(CorruptDataError):
        bytes_to_array(data[: min(cut, len(data) - 1)])
