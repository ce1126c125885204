"""Bytes that earlier releases wrote are read, and arrays are written as the first of them did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atdata import DictSample, packable
from atdata.samples.arrays import array_to_bytes, bytes_to_array


def npy(header: str, data: str = "") -> bytes:
    """Spell what 0.2 wrote: a header padded to 128 bytes, then the data."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00\x76\x00" + text + bytes.fromhex(data)


def head(descr: str, shape: str, fortran: bool = False) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"


INTS = "000000000100000002000000030000000400000005000000"
FLOATS = "000000000000803f0000004000004040000080400000a040"

# name: the array, what 0.2 wrote of it, and what 0.3 to 0.7 did.
ARRAYS: dict[str, tuple[NDArray[Any], bytes, str]] = {
    "f4": (
        np.arange(6, dtype="<f4").reshape(2, 3),
        npy(head("<f4", "(2, 3)"), FLOATS),
        f"033c66340202000000000000000300000000000000{FLOATS}",
    ),
    "0-d": (
        np.array(7, "<i8"),
        npy(head("<i8", "()"), "0700000000000000"),
        "033c6938000700000000000000",
    ),
    "empty": (
        np.zeros((0, 4), bool),
        npy(head("|b1", "(0, 4)")),
        "037c62310200000000000000000400000000000000",
    ),
    "big-endian": (
        np.array([1, 2], ">u2"),
        npy(head(">u2", "(2,)"), "00010002"),
        "033e7532010200000000000000" + "00010002",
    ),
    "Fortran": (
        np.asfortranarray(np.arange(6, dtype="<i4").reshape(2, 3)),
        npy(head("<i4", "(2, 3)", True), "000000000300000001000000040000000200000005000000"),
        f"033c69340202000000000000000300000000000000{INTS}",
    ),
    "text": (
        np.array(["ab", "c"], "<U2"),
        npy(head("<U2", "(2,)"), "61000000620000006300000000000000"),
        "033c553201020000000000000061000000620000006300000000000000",
    ),
    "complex": (
        np.array([1 + 2j], "<c8"),
        npy(head("<c8", "(1,)"), "0000803f00000040"),
        "033c63380101000000000000000000803f00000040",
    ),
    "date": (
        np.array(["2020-01-01"], "<M8[D]"),
        npy(head("<M8[D]", "(1,)"), "5647000000000000"),
        "063c4d385b445d0101000000000000005647000000000000",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_written_as_the_first_releases_did(name: str) -> None:
    array, written, _ = ARRAYS[name]
    assert array_to_bytes(array) == written


@pytest.mark.parametrize("form", ["npy", "compact"])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_release_are_read(name: str, form: str) -> None:
    array, npy_bytes, compact_hex = ARRAYS[name]
    got = bytes_to_array(npy_bytes if form == "npy" else bytes.fromhex(compact_hex))
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()
    assert got.flags.writeable


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


REST = bytes.fromhex(
    "a56c6162656ca2c3a9a4636f6e66cb3fe0000000000000a47461677392a161a162a36f7074c0"
    "a3726177c4020001a16e03a26f6bc3"
)
COMPACT = bytes.fromhex(ARRAYS["f4"][2])
PACKED = {
    "0.2": b"\x88\xa5image\xc4\x98" + ARRAYS["f4"][1] + REST,
    "0.7": b"\x88\xa5image\xc4" + bytes([len(COMPACT)]) + COMPACT + REST,
}


@pytest.mark.parametrize("release", PACKED)
def test_samples_of_every_release_are_read(release: str) -> None:
    cls: Any = S
    assert cls.from_bytes(PACKED[release]) == S(
        ARRAYS["f4"][0], "é", 0.5, ["a", "b"], None, b"\x00\x01", 3, True
    )


@pytest.mark.parametrize("release", PACKED)
def test_untyped_samples_repack_to_the_bytes_of_their_release(release: str) -> None:
    sample = DictSample.from_bytes(PACKED[release])
    assert sample.keys() == ["image", "label", "conf", "tags", "opt", "raw", "n", "ok"]
    assert sample.packed == PACKED[release]
