"""Bytes from anywhere become a sample or one of our errors, in bounded memory, unpickled."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.samples.audit import CODE, audited

from atdata import DictSample, packable
from atdata.errors import AtdataError, CorruptDataError, FieldError
from atdata.samples.arrays import array_to_bytes, bytes_to_array


@packable
class Sample:
    image: NDArray[Any]
    mask: NDArray[np.bool_] | None
    label: str
    tags: list[list[str]]
    more: dict[str, Any]
    number: int
    real: float
    raw: bytes


TYPED: Any = Sample
VALID: bytes = TYPED(
    np.arange(6, dtype="<f4").reshape(2, 3),
    np.zeros((2, 0), bool),
    "label",
    [["a"], []],
    {"k": [1, {"l": None}]},
    -5,
    0.5,
    b"raw",
).packed


def npy(header: str | bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    width = "<H" if version == b"\x01\x00" else "<I"
    return b"\x93NUMPY" + version + struct.pack(width, len(text)) + text + data


def described(descr: object, shape: object = (1,), data: bytes = bytes(64)) -> bytes:
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    return npy(f"{fields!r}\n", data)


def compact(name: bytes, *shape: int, data: bytes = b"") -> bytes:
    sizes = struct.pack(f"<{len(shape)}q", *shape)
    return bytes([len(name)]) + name + bytes([len(shape)]) + sizes + data


HUGE = 10**10
ARRAYS: dict[str, bytes] = {
    "d1 of 80 GB": described("<f8", (HUGE,), b""),
    "d1 of 80 GB, compact": compact(b"<f8", HUGE),
    "d2 objects": described("|O", (1,)),
    "d2 objects, compact": compact(b"|O", 1, data=bytes(8)),
    "d2 objects in fields": described([("a", "<i4"), ("b", "|O")]),
    "d2 a subarray": described(("<i4", (2, 2))),
    "d2 a huge subarray in a field": described([("a", "<i4", (2**40, 2**40))]),
    "d2 V0": described("|V0", (10**15,), b""),
    "d2 S0": described("|S0", (10**15,), b""),
    "d2 U0, compact": compact(b"<U0", 10**15),
    "d2 no fields": described([], (10**15,), b""),
    "d2 U5e8": described("<U500000000", (1,)),
    "d2 too large an element": described("|V99999999999999", (1,)),
    "d2 an unknown letter": described("<q8"),
    "d2 a name": described("os.system"),
    "d2 two, compact": compact(b"i4,O", 1, data=bytes(12)),
    "d2 a repeated field": described([("a", "<i4"), ("a", "<i4")]),
    "d2 a field without a type": described([("a",)]),
    "d2 a number for a type": described(7),
    "d2 None for a type": described(None),
    "d3 nothing": b"",
    "d3 the magic alone": b"\x93NUMPY",
    "d3 no header": npy(b""),
    "d3 no length": b"\x93NUMPY\x01\x00\x10",
    "d3 too short": array_to_bytes(np.zeros(3))[:-1],
    "d3 too long": array_to_bytes(np.zeros(3)) + b"\0",
    "d3 data where there is none": array_to_bytes(np.zeros(0)) + b"\0",
    "d3 a header longer than the data": b"\x93NUMPY\x01\x00\xff\xff{}",
    "d3 a header of 20 kB": npy(" " * 20_000 + "{}\n"),
    "d3 9,000 parentheses": npy("(" * 9000),
    "d3 4,000 nested lists": npy("[" * 4000 + "]" * 4000),
    "d3 nested fields": described(eval("[('a'," * 90 + "'<i4'" + ")]" * 90)),
    "d3 version 0.0": npy("{}", version=b"\x00\x00"),
    "d3 version 4.0": npy("{}", version=b"\x04\x00"),
    "d3 version 1.1": npy("{}", version=b"\x01\x01"),
    "d3 not UTF-8": npy(b"\xff", version=b"\x03\x00"),
    "d3 a NUL": npy(b"\0"),
    "d3 code": npy("__import__('os').system('true')"),
    "d3 a call": npy("{'descr': open('x'), 'fortran_order': False, 'shape': ()}"),
    "d3 no map": npy("[1, 2]"),
    "d3 other keys": npy("{'descr': '<f4', 'fortran_order': False}"),
    "d3 an unhashable key": npy("{[]: 1}"),
    "d3 a huge number": npy("9" * 9000),
    "d3 an escape": npy("'\\d'"),
    "d4 a negative size": described("<f4", (-1,)),
    "d4 a negative size, compact": compact(b"<f4", -1, data=bytes(4)),
    "d4 an overflow": described("<f4", (2**40, 2**40)),
    "d4 an overflow to nothing": described("<f4", (2**32, 2**32), b""),
    "d4 an overflow beside a zero": described("<f4", (0, 2**62, 2**62), b""),
    "d4 an overflow beside a zero, compact": compact(b"<f4", 0, 2**62, 2**62),
    "d4 more than 64 bits": described("<f4", (10**30,)),
    "d4 more than 19 digits": npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n"
    ),
    "d4 a float for a size": described("<f4", (1.0,)),
    "d4 a truth value for a size": described("<f4", (True,)),
    "d4 a list for a shape": described("<f4", [1]),
    "d4 a number for a shape": described("<f4", 1),
    "d4 65 dimensions": described("<f4", (1,) * 65),
    "d4 255 dimensions, compact": compact(b"<f4", *[1] * 255, data=bytes(4)),
    "d4 a number for the order": npy("{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", bytes(4)),
    "compact without a name": compact(b"", 1),
    "compact not ASCII": b"\x03\xff\xff\xff\x00",
    "compact of an impossible size": compact(b"<f3", 1, data=bytes(3)),
    "compact cut in the name": b"\x03<f",
    "compact cut in the shape": b"\x03<f4\x02\x00\x00\x00",
    "compact cut in the data": compact(b"<f4", 2, data=bytes(7)),
    "compact too long": compact(b"<f4", 2, data=bytes(9)),
    "compact of names": compact(b"int,float", 1, data=bytes(11)),
    "compact comma": compact(b",", 1),
    "compact brackets": compact(b"(" * 200, 1),
    "compact old alias": compact(b"|a4", 1, data=bytes(4)),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_d1_to_d4_array_bytes_that_lie_are_refused(case: str) -> None:
    with audited() as events, pytest.raises(CorruptDataError):
        bytes_to_array(ARRAYS[case])
    assert not {"exec", "import", "open", "os.system", "pickle.find_class"} & set(events)
    with pytest.raises(CorruptDataError, match=r"^Sample\.image: "):
        TYPED.from_data({**msgpack.unpackb(VALID), "image": ARRAYS[case]})


SAMPLES: dict[str, bytes] = {
    "d5 array32": b"\xdd\xff\xff\xff\xff",
    "d5 map32": b"\xdf\xff\xff\xff\xff",
    "d5 bin32": b"\xc6\xff\xff\xff\xff",
    "d5 str32": b"\xdb\xff\xff\xff\xff",
    "d5 a field of array32": b"\x81\xa4more\xdd\xff\xff\xff\xff",
    "d5 a field of map32": b"\x81\xa4more\xdf\xff\xff\xff\xff",
    "d5 a field of bin32": b"\x81\xa4more\xc6\xff\xff\xff\xff",
    "d5 a field of ext32": b"\x81\xa4more\xc9\xff\xff\xff\xff\x01",
    "d5 depth of lists": b"\x81\xa4more" + b"\x91" * 100_000 + b"\xc0",
    "d5 depth of maps": b"\x81\xa4more" + b"\x81\xa1a" * 100_000 + b"\xc0",
    "d5 depth msgpack allows": b"\x81\xa4more" + b"\x81\xa1a" * 1000 + b"\xc0",
    "d5 depth of long lists": b"\x81\xa4more" + b"\xdd\x00\x01\x00\x00" * 1000 + bytes(65_536),
    "d7 nothing": b"",
    "d7 a list": msgpack.packb([1, 2]),
    "d7 nil": b"\xc0",
    "d7 a number": b"\x01",
    "d7 text": msgpack.packb("sample"),
    "d7 a reserved byte": b"\xc1",
    "d7 trailing bytes": VALID + b"\0",
    "d7 two samples": VALID + VALID,
    "d7 half a sample": VALID[: len(VALID) // 2],
    "d7 a field twice": b"\x82\xa1a\x01\xa1a\x02",
    "d7 a key twice inside": b"\x81\xa4more\x82\xa1a\x01\xa1a\x02",
    "d7 a number for a name": msgpack.packb({1: 2}),
    "d7 nil for a name": msgpack.packb({None: 2}),
    "d7 bytes for a name": msgpack.packb({b"label": "a"}),
    "d7 a list for a name": b"\x81\x90\x01",
    "d7 a name that is not UTF-8": b"\x81\xa1\xff\x01",
    "d7 text that is not UTF-8": b"\x81\xa5label\xa1\xff",
    "d7 a surrogate": b"\x81\xa5label\xa3\xed\xa0\x80",
    "d7 an extension": msgpack.packb({"more": msgpack.ExtType(5, b"abc")}),
    "d7 an extension for a sample": msgpack.packb(msgpack.ExtType(42, b"")),
    "d7 a timestamp": msgpack.packb({"more": msgpack.Timestamp(1)}),
    "d7 a timestamp for a sample": msgpack.packb(msgpack.Timestamp(1)),
    "d7 a broken timestamp": b"\x81\xa4more\xc7\x01\xff\x00",
    "d7 a number for a key inside": msgpack.packb({"more": {1: 2}}),
    "d7 bytes for a key inside": msgpack.packb({"more": {b"a": 2}}),
}


@pytest.mark.parametrize("case", SAMPLES)
def test_d5_d7_bytes_that_are_no_sample_are_refused_at_once(case: str) -> None:
    started = time.thread_time()
    with audited() as events:
        with pytest.raises((CorruptDataError, FieldError)):
            TYPED.from_bytes(SAMPLES[case])
        with pytest.raises(CorruptDataError):
            DictSample.from_bytes(SAMPLES[case])
    assert time.thread_time() - started < 1
    assert "pickle.find_class" not in events


IN_LITTLE_MEMORY = """
import resource, sys
from tests.core.samples.test_hostile_bytes import ARRAYS, SAMPLES, TYPED
from atdata import DictSample
from atdata.errors import AtdataError
from atdata.samples.arrays import bytes_to_array

def refused(read, data):
    try:
        read(data)
    except AtdataError:
        return
    raise SystemExit(f"accepted {data[:60]}")

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
for case, data in ARRAYS.items():
    refused(bytes_to_array, data)
for case, data in SAMPLES.items():
    refused(DictSample.from_bytes, data)
    refused(TYPED.from_bytes, data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kilobytes, as Linux does")
def test_d1_d5_refusing_takes_no_memory() -> None:
    grown = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert int(grown) < 32 * 1024


def mutant(rng: random.Random, data: bytes) -> bytes:
    """Flip, insert, drop, repeat and cut bytes."""
    raw = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(6):
            case 0 if at < len(raw):
                raw[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(raw):
                raw[at] = rng.choice(
                    b"\x00\x7f\x80\x90\xa0\xc0\xc1\xc4\xc6\xc9\xd4\xdc\xdd\xdf\xff"
                )
            case 2:
                raw[at:at] = rng.randbytes(rng.randint(1, 5))
            case 3:
                del raw[at : at + rng.randint(1, 5)]
            case 4:
                raw[at:at] = raw[at : at + rng.randint(1, 20)]
            case _:
                del raw[at:]
    return bytes(raw)


NUMPY: bytes = array_to_bytes(np.zeros(3, [("a", "<i4"), ("b", "<f8", (2,)), ("c", "<U2")]))


def try_mutants(seed: int, count: int) -> None:
    rng = random.Random(seed)
    with audited() as events:
        for _ in range(count):
            changed = mutant(rng, VALID)
            for read in (TYPED.from_bytes, DictSample.from_bytes):
                with suppress(AtdataError):
                    _ = read(changed).packed
            with suppress(AtdataError):
                bytes_to_array(mutant(rng, NUMPY))
    assert not (CODE - {"compile"}) & set(events)


def test_d8_x9_mutants_of_a_sample_raise_nothing_but_our_errors() -> None:
    try_mutants(seed=1, count=20_000)


@pytest.mark.slow
def test_d8_x9_many_more_mutants_raise_nothing_but_our_errors() -> None:
    try_mutants(seed=2, count=200_000)


@given(st.binary(max_size=200))
def test_d8_any_bytes_are_a_sample_or_one_of_our_errors(data: bytes) -> None:
    for read in (TYPED.from_bytes, DictSample.from_bytes, bytes_to_array):
        with suppress(AtdataError):
            read(data)


def test_d9_a_sample_cut_at_any_byte_is_refused() -> None:
    for length in range(len(VALID)):
        with pytest.raises(CorruptDataError):
            TYPED.from_bytes(VALID[:length])
