"""Numpy arrays as bytes: ``.npy`` written and read, and the compact form of earlier releases read.

Formats: numpy's ``.npy`` 1.0 to 3.0 (NEP 1), and ``u8 len, dtype string, u8 ndim, ndim x i64 LE,
C-order data``. The ``.npy`` header depends only on dtype, memory order and shape, so both
directions keep a bounded cache of usual headers and touch nothing but the raw data per array.
"""

from __future__ import annotations

import ast
import io
import math
import re
import struct
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy

from atdata.errors import CorruptDataError, FieldError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
# How np.save begins unless a dtype is compound or a shape very long.
_USUAL_LENGTH = 128
_USUAL = MAGIC + b"\x01\x00" + (_USUAL_LENGTH - 10).to_bytes(2, "little")
# As many as numpy allows. Stacked, arrays have one more.
MAX_DIMENSIONS = 64


class ArrayLayout(NamedTuple):
    """What a header says: where the data starts and how it is to be read."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    start: int
    nbytes: int


def array_to_buffers(array: np.ndarray[Any, Any]) -> tuple[bytes, Any]:
    """Split an array into its ``.npy`` header and its raw data, the latter without a copy.

    The concatenation is what ``np.save`` writes: Fortran order is kept, a strided view is copied
    to C order. The data buffer borrows the array's memory. Subclasses are stored as plain arrays.

    Raises:
        FieldError: the array's dtype has no form in ``.npy``, or a mask would be lost.
    """
    if type(array) is not np.ndarray:
        if isinstance(array, np.ma.MaskedArray):
            raise FieldError("a masked array would lose its mask; .filled() makes a plain one")
        array = np.asarray(array)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = _header(array.dtype, array.shape, fortran=fortran)
    flat = array.T if fortran else np.ascontiguousarray(array)
    return header, flat.reshape(-1).view(np.uint8).data if array.size else b""


def array_to_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """Encode an array as the bytes ``np.save`` would write."""
    return b"".join(array_to_buffers(array))


def bytes_to_array(data: bytes | memoryview) -> np.ndarray[Any, Any]:
    """Decode array bytes of either form into a writable array that owns its memory."""
    dtype, shape, order, start, nbytes = array_layout(data)
    there = len(data) - start
    if there != nbytes:
        raise CorruptDataError(
            f"array bytes are {'too short' if there < nbytes else 'too long'}: "
            f"shape {shape} of {dtype} takes {nbytes} bytes, {there} are there"
        )
    return np.ndarray(shape, dtype, bytearray(memoryview(data)[start:]), 0, None, order)


def array_layout(data: bytes | memoryview) -> ArrayLayout:
    """Read the header of array bytes without looking at the data behind it."""
    head = bytes(data[:_USUAL_LENGTH])
    if head.startswith(_USUAL) and len(head) == _USUAL_LENGTH:
        return _usual_layout(head)
    if data[:6] != MAGIC:
        return _compact_layout(data)
    width = 2 if data[6:7] == b"\x01" else 4
    start = 8 + width
    end = start + int.from_bytes(data[8:start], "little")
    if len(data) < start or end > min(len(data), MAX_HEADER):
        raise CorruptDataError("array bytes are too short or their .npy header is too long")
    return _npy_layout(bytes(data[:end]))


def is_equal(a: Any, b: Any) -> bool:
    """Compare two field values; NaN equals itself, and arrays must agree in dtype and shape."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and _are_equal_arrays(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(is_equal(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_equal, a, b))
    both_nan = isinstance(a, float) and isinstance(b, float) and a != a and b != b  # noqa: PLR0124
    return both_nan or bool(a == b)


def _are_equal_arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.names:
        return all(_are_equal_arrays(a[name], b[name]) for name in a.dtype.names)
    # Some numpy releases warn of comparing what they then find to be NaN.
    with np.errstate(invalid="ignore"):
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM"))


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse dtypes whose arrays are not plain bytes: objects, subarrays, registered extensions."""
    # 2 is numpy's code for a dtype that another library has registered.
    if dtype.kind == "T" or dtype.isbuiltin == 2:
        raise FieldError(
            f"arrays of dtype {dtype} cannot be stored in .npy; view or convert them first",
            dtype=dtype,
        )
    if dtype.hasobject:
        raise FieldError(
            "object-dtype arrays are never stored; convert to numbers, or use a list field",
            dtype=dtype,
        )
    if dtype.itemsize == 0 or dtype.subdtype is not None:
        raise FieldError(f"arrays of dtype {dtype!r} have no bytes to store", dtype=dtype)


@lru_cache(maxsize=4096)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...], *, fortran: bool) -> bytes:
    check_dtype(dtype)
    try:
        fields = {"descr": npy.dtype_to_descr(dtype), "fortran_order": fortran, "shape": shape}
        header = _packed_header(fields)
    except ValueError as error:
        raise FieldError(
            f"arrays of dtype {dtype!r:.200} cannot be described in .npy: {error}", dtype=dtype
        ) from error
    if len(header) > MAX_HEADER:
        raise FieldError(
            "the compound dtype of an array is too long to describe in .npy", dtype=dtype
        )
    return header


def _packed_header(fields: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    try:
        npy.write_array_header_1_0(out, fields)
    except ValueError:
        # Field names outside latin-1 need version 3.0, which numpy offers no public writer for.
        raw = repr(fields).encode()
        raw += b" " * (-(12 + len(raw) + 1) % 64) + b"\n"
        return MAGIC + b"\x03\x00" + struct.pack("<I", len(raw)) + raw
    return out.getvalue()


def _header_text(data: bytes) -> str:
    width = 2 if data[6] == 1 else 4
    end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    return data[8 + width : end].decode("utf-8" if data[6] == 3 else "latin-1")


# What np.save writes for a plain dtype; anything else takes the slower road through ast.
_DTYPE = re.compile(r"[<>|=][biufcmMSUV]\d*(?:\[\w+\])?", re.ASCII)
_PLAIN = re.compile(
    rf"\{{'descr': '({_DTYPE.pattern})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,19}, ?)*\d{0,19})\), \} *\n",
    re.ASCII,
)


@lru_cache(maxsize=4096)
def _usual_layout(header: bytes) -> ArrayLayout:
    return _npy_layout(header)


def _npy_layout(header: bytes) -> ArrayLayout:
    if header[6] not in (1, 2, 3) or header[7] != 0:
        version = f"{header[6]}.{header[7]}"
        raise CorruptDataError(f"array bytes claim .npy version {version}; 1.0 to 3.0 exist")
    try:
        dtype, fortran, shape = _read_header(_header_text(header))
    except _REFUSALS as error:
        raise CorruptDataError("the .npy header of an array cannot be read") from error
    return _layout(dtype, shape, fortran, len(header))


# The many ways in which ast and numpy refuse a hostile header; warnings, where they are errors.
_REFUSALS = (
    *(ValueError, TypeError, SyntaxError, ArithmeticError, LookupError, AttributeError),
    *(RecursionError, MemoryError, Warning),
)


def _read_header(text: str) -> tuple[np.dtype[Any], Any, Any]:
    if plain := _PLAIN.fullmatch(text):
        shape = tuple(int(n) for n in plain[3].split(",") if n.strip())
        return np.dtype(plain[1]), plain[2] == "True", shape
    fields = ast.literal_eval(text)
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise CorruptDataError("it is not a map of descr, fortran_order and shape")
    return npy.descr_to_dtype(fields["descr"]), fields["fortran_order"], fields["shape"]


def _compact_layout(data: bytes | memoryview) -> ArrayLayout:
    try:
        name_end = 1 + data[0]
        name = bytes(data[1:name_end]).decode("ascii")
        ndim = data[name_end]
        start = name_end + 1 + 8 * ndim
        shape = struct.unpack_from(f"<{ndim}q", data, name_end + 1)
    except (IndexError, struct.error) as error:
        raise CorruptDataError("array bytes are too short for their header") from error
    except UnicodeDecodeError as error:
        raise CorruptDataError("array bytes are neither .npy nor the compact form") from error
    return _layout(_compact_dtype(name), shape, fortran=False, start=start)


def _compact_dtype(name: str) -> np.dtype[Any]:
    try:
        if _DTYPE.fullmatch(name):
            return np.dtype(name)
    except _REFUSALS as error:
        raise CorruptDataError(f"array bytes claim the dtype {name!r:.60}: {error}") from error
    raise CorruptDataError(f"array bytes claim the unknown dtype {name!r:.60}")


def _layout(dtype: np.dtype[Any], shape: Any, fortran: Any, start: int) -> ArrayLayout:
    try:
        check_dtype(dtype)
    except FieldError as error:
        raise CorruptDataError(str(error)) from error
    if not _is_possible(shape, dtype.itemsize) or type(fortran) is not bool:
        raise CorruptDataError(f"an array header claims the impossible shape {shape!r:.200}")
    nbytes = math.prod(shape) * dtype.itemsize
    return ArrayLayout(dtype, shape, "F" if fortran else "C", start, nbytes)


def _is_possible(shape: Any, itemsize: int) -> bool:
    if not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
        return False
    sizes_fit = all(type(size) is int and size >= 0 for size in shape)
    # Numpy counts the bytes of an empty array as if its zeros were not there.
    return sizes_fit and math.prod(size for size in shape if size) * itemsize < 2**63
