"""Samples of equal shapes have byte-identical structure: the reader sees them as columns."""

# Users write NDArray and dict without arguments, as the documentation does.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atdata import packable
from atdata.samples.headers import map_length


@packable
class Mixed:
    name: str
    tags: list[str]
    raw: bytes
    maybe: int | None
    image: NDArray
    number: int
    more: dict
    real: float
    mask: NDArray[np.bool_]
    flag: bool


def sample(number: int, real: float, flag: bool, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return Mixed(
        name="name",
        tags=["a"],
        raw=rng.bytes(5),
        maybe=None,
        image=rng.random((2, 3)),
        number=number,
        more={},
        real=real,
        mask=rng.random(4) > 0.5,
        flag=flag,
    )


def test_fixed_widths_are_packed_first_each_kind_in_order_of_declaration() -> None:
    fixed = ["number", "real", "flag", "image", "mask", "raw"]
    varying = ["maybe", "name", "tags", "more"]
    assert list(msgpack.unpackb(sample(1, 2.0, True, 3).packed)) == fixed + varying


INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64, st.floats(), st.booleans(), INT64, st.floats(), st.booleans())
def test_values_change_no_byte_but_their_own(
    n1: int, r1: float, f1: bool, n2: int, r2: float, f2: bool
) -> None:
    first, second = sample(n1, r1, f1, 1).packed, sample(n2, r2, f2, 2).packed
    differing = {at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b}
    one = sample(n1, r1, f1, 1)
    values = [
        (first.index(b"\xa6number") + 8, 8),
        (first.index(b"\xa4real") + 6, 8),
        (first.index(b"\xa4flag") + 5, 1),
        (first.index(one.image.tobytes()), one.image.nbytes),
        (first.index(one.mask.tobytes(), first.index(b"\xa4mask") + 10 + 128), one.mask.nbytes),
        (first.index(b"\xa3raw") + 9, 5),
    ]
    assert differing <= {at for start, width in values for at in range(start, start + width)}


@given(st.permutations(list(vars(sample(1, 2.0, True, 3)))))
def test_any_order_of_fields_is_read(order: list[str]) -> None:
    one = sample(1, 2.0, True, 3)
    raw = msgpack.unpackb(one.packed)
    cls: Any = Mixed
    assert cls.from_bytes(msgpack.packb({name: raw[name] for name in order})) == one


@pytest.mark.parametrize("count", [0, 1, 31, 32, 255, 256, 65535, 65536])
def test_text_of_any_length_is_as_short_as_elsewhere(count: int) -> None:
    @packable
    class Text:
        text: str

    one: Any = Text("x" * count)
    assert one.packed == msgpack.packb({"text": "x" * count})
    assert type(one).from_bytes(one.packed) == one


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65535, 65536])
def test_lists_of_any_length_are_as_short_as_elsewhere(count: int) -> None:
    @packable
    class Flags:
        flags: list[bool]

    one: Any = Flags([True] * count)
    assert one.packed == msgpack.packb({"flags": [True] * count})
    assert type(one).from_bytes(one.packed) == one


@pytest.mark.parametrize("data", [b"", b"\x91\x01", b"\xc0", b"\xcf" + bytes(8)])
def test_only_maps_announce_pairs(data: bytes) -> None:
    assert map_length(data) is None
    assert map_length(b"\xdf\x00\x01\x00\x00") == 65536


@pytest.mark.parametrize("count", [15, 16, 300])
def test_types_of_many_fields_are_read(count: int) -> None:
    cls: Any = packable(type("S", (), {"__annotations__": {f"f{i}": bool for i in range(count)}}))
    one = cls(*[True] * count)
    assert one.packed == msgpack.packb(vars(one))
    assert map_length(one.packed) == count
    assert cls.from_bytes(one.packed) == one
