"""Numpy arrays as bytes: ``.npy`` written and read, and the compact form of earlier releases read.

Formats: numpy's ``.npy`` 1.0 to 3.0 (NEP 1), and ``u8 len, dtype string, u8 ndim, ndim x i64 LE,
C-order data``. The ``.npy`` header depends only on dtype, memory order and shape, so both
directions keep a bounded cache of headers and touch nothing but the raw data per array.
"""

from __future__ import annotations

import ast
import io
import math
import re
import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from atdata.errors import CorruptDataError, FieldError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
MAX_DIMENSIONS = 64


class ArrayLayout(NamedTuple):
    """What a header says: where the data starts and how it is to be read."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    start: int
    nbytes: int


def array_to_buffers(array: np.ndarray[Any, Any]) -> tuple[bytes, Any]:
    """Split an array into its ``.npy`` header and its raw data, the latter without a copy.

    The concatenation is what ``np.save`` writes: Fortran order is kept, a strided view is copied
    to C order. The data buffer borrows the array's memory.
    """
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = _header(array.dtype, array.shape, fortran=fortran)
    flat = array.T if fortran else np.ascontiguousarray(array)
    return header, flat.reshape(-1).view(np.uint8).data if array.size else b""


def array_to_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """Encode an array as the bytes ``np.save`` would write."""
    return b"".join(array_to_buffers(array))


def bytes_to_array(data: bytes) -> np.ndarray[Any, Any]:
    """Decode array bytes of either form into a writable array that owns its memory."""
    dtype, shape, order, start, nbytes = array_layout(data)
    if len(data) - start != nbytes:
        raise CorruptDataError(
            f"array bytes are {'too short' if len(data) - start < nbytes else 'too long'}: "
            f"shape {shape} of {dtype} takes {nbytes} bytes, {len(data) - start} are there"
        )
    flat = np.frombuffer(bytearray(memoryview(data)[start:]), dtype) if nbytes else np.empty(0, dtype)
    return flat.reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def array_layout(data: bytes) -> ArrayLayout:
    """Read the header of array bytes without looking at the data behind it."""
    if data[:6] != MAGIC:
        return _compact_layout(data)
    width = 2 if data[6:7] == b"\x01" else 4
    start = 8 + width
    end = start + int.from_bytes(data[8:start], "little")
    if len(data) < start or end > min(len(data), MAX_HEADER):
        raise CorruptDataError("array bytes are too short or their .npy header is too long")
    return _npy_layout(bytes(data[:end]))


def is_equal(a: Any, b: Any) -> bool:
    """Compare two field values; arrays by dtype, shape and elements, NaN being equal to itself."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        same_form = a.dtype == b.dtype and a.shape == b.shape
        return same_form and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM"))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a is b or a == b)


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse dtypes whose arrays are not plain bytes: objects, subarrays, registered extensions."""
    if dtype.hasobject or dtype.kind == "O":
        raise FieldError(
            "object-dtype arrays are never stored; convert to numbers, or use a list field",
            dtype=dtype,
        )
    if dtype.isbuiltin == 2 or dtype.kind == "T":  # noqa: PLR2004 -- numpy's code for user-defined
        raise FieldError(
            f"arrays of dtype {dtype} cannot be stored in .npy; view or convert them first",
            dtype=dtype,
        )
    if dtype.itemsize == 0 or dtype.subdtype is not None:
        raise FieldError(f"arrays of dtype {dtype!r} have no bytes to store", dtype=dtype)


@lru_cache(maxsize=4096)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...], *, fortran: bool) -> bytes:
    check_dtype(dtype)
    out = io.BytesIO()
    fields = {"descr": npy.dtype_to_descr(dtype), "fortran_order": fortran, "shape": shape}
    try:
        npy.write_array_header_1_0(out, fields)
    except ValueError:
        # Field names outside latin-1 need version 3.0, which numpy offers no public writer for.
        out.write(_utf8_header(repr(fields)))
    header = out.getvalue()
    if len(header) > MAX_HEADER:
        raise FieldError("the compound dtype of an array is too long to describe in a .npy header")
    return header


def _utf8_header(text: str) -> bytes:
    raw = text.encode()
    raw += b" " * (-(12 + len(raw) + 1) % 64) + b"\n"
    return MAGIC + b"\x03\x00" + struct.pack("<I", len(raw)) + raw


def _header_text(data: bytes) -> str:
    width = 2 if data[6] == 1 else 4
    end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    return data[8 + width : end].decode("utf-8" if data[6] == 3 else "latin-1")  # noqa: PLR2004


# What np.save writes for a plain dtype; anything else takes the slower road through ast.
_PLAIN = re.compile(
    r"\{'descr': '([<>|=][a-zA-Z]\d*(?:\[[\w/]+\])?)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,19}, ?)*\d{0,19})\), \} *\n"
)


@lru_cache(maxsize=4096)
def _npy_layout(header: bytes) -> ArrayLayout:
    if header[6] not in (1, 2, 3) or header[7] != 0:
        raise CorruptDataError(f"array bytes claim .npy version {header[6]}.{header[7]}; 1.0 to 3.0 exist")
    try:
        text = _header_text(header)
        if plain := _PLAIN.fullmatch(text):
            shape = tuple(int(n) for n in plain[3].split(",") if n.strip())
            return _layout(np.dtype(plain[1]), shape, plain[2] == "True", len(header))
        fields = ast.literal_eval(text)
        if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
            raise CorruptDataError("the .npy header is not a map of descr, fortran_order and shape")
        return _layout(
            npy.descr_to_dtype(fields["descr"]), fields["shape"], fields["fortran_order"], len(header)
        )
    except CorruptDataError:
        raise
    # ast and numpy have many ways to refuse a hostile header.
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, KeyError, IndexError) as error:
        raise CorruptDataError(f"the .npy header of an array cannot be read: {error}") from error


def _compact_layout(data: bytes) -> ArrayLayout:
    try:
        name_end = 1 + data[0]
        name = bytes(data[1:name_end]).decode("ascii")
        ndim = data[name_end]
        start = name_end + 1 + 8 * ndim
        shape = struct.unpack_from(f"<{ndim}q", data, name_end + 1)
        dtype = np.dtype(name)
    except (IndexError, struct.error) as error:
        raise CorruptDataError("array bytes are too short for their header") from error
    except (ValueError, TypeError, SyntaxError) as error:
        raise CorruptDataError("array bytes are neither .npy nor the compact form") from error
    return _layout(dtype, shape, False, start)  # noqa: FBT003


def _layout(dtype: np.dtype[Any], shape: Any, fortran: Any, start: int) -> ArrayLayout:
    try:
        check_dtype(dtype)
    except FieldError as error:
        raise CorruptDataError(str(error)) from error
    sizes_fit = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**63 for n in shape)
    if not sizes_fit or len(shape) > MAX_DIMENSIONS or type(fortran) is not bool:
        raise CorruptDataError(f"an array header claims the impossible shape {shape!r}")
    nbytes = math.prod(shape) * dtype.itemsize
    return ArrayLayout(dtype, shape, "F" if fortran else "C", start, nbytes)
