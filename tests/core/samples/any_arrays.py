"""Arrays of every dtype that can be stored, to be drawn by property tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

Array = np.ndarray[Any, Any]

ORDERS = (">", "<")
NAMES = st.sampled_from(["a", "b", "größe", "数", "with space", "quote'", "\U0001f600"])

PLAIN_DTYPES: st.SearchStrategy[np.dtype[Any]] = st.one_of(
    st.sampled_from([np.dtype(np.longdouble), np.dtype(np.clongdouble)]),
    npst.boolean_dtypes(),
    *(
        strategy(endianness=order)
        for order in ORDERS
        for strategy in (
            npst.integer_dtypes,
            npst.unsigned_integer_dtypes,
            npst.floating_dtypes,
            npst.complex_number_dtypes,
            npst.datetime64_dtypes,
            npst.timedelta64_dtypes,
        )
    ),
    *(npst.unicode_string_dtypes(endianness=order, min_len=1) for order in ORDERS),
    npst.byte_string_dtypes(min_len=1),
    st.integers(1, 20).map(lambda size: np.dtype(f"V{size}")),
)

STRUCTURED_DTYPES: st.SearchStrategy[np.dtype[Any]] = st.recursive(
    PLAIN_DTYPES,
    lambda inner: (
        npst.array_dtypes(inner, min_size=1, max_size=3)
        | st.lists(st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda f: f[0]).map(
            np.dtype
        )
    ),
    max_leaves=4,
).filter(lambda dtype: dtype.subdtype is None)


def _make_sense(array: Array, text: str) -> None:
    """Overwrite what was drawn as any bits where those could be no character or truth value."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _make_sense(array[name], text)
    elif array.dtype.kind == "U":
        array[...] = text
    elif array.dtype.kind == "b":
        bits = array.view(np.uint8)
        bits &= 1


@st.composite
def arrays(draw: st.DrawFn, dtypes: st.SearchStrategy[np.dtype[Any]] = PLAIN_DTYPES) -> Array:
    """Draw an array of any bits: 0-d, empty, Fortran ordered or strided."""
    dtype = draw(dtypes)
    shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    count = int(np.prod(shape)) * dtype.itemsize
    seed = draw(st.integers(0, 2**32 - 1))
    array = np.ndarray(shape, dtype, bytearray(np.random.default_rng(seed).bytes(count)))
    _make_sense(array, draw(st.sampled_from(["", "a", "\U0001f600b", "größe"])))
    step = draw(st.sampled_from(["C", "F", "every other", "backwards"]))
    if step == "F":
        return np.asfortranarray(array) if array.ndim else array
    if step == "every other" and array.ndim:
        return array[::2]
    return array[..., ::-1] if step == "backwards" and array.ndim else array
