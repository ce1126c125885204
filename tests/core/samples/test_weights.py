"""What samples of untrusted bytes may take in memory, and that honest ones are not kept out."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.peak_memory import without_coverage
from tests.shard_files import tar_bytes

from atdata import DictSample, packable
from atdata.errors import AtdataError, LimitExceededError
from atdata.samples import codec, weights

SIZE = 2_000_000


@packable
class Reals:
    reals: list[float]


@packable
class Groups:
    groups: list[list[str]]


@packable
class Anything:
    meta: dict[str, Any]
    note: str = ""


TYPED: Any = Anything
REALS: Any = Reals
GROUPS: Any = Groups
# Those that convert most, or nothing.
TYPES: dict[str, Any] = {"reals": Reals, "groups": Groups, "other": DictSample}


def filled(item: bytes, count: int = 0) -> bytes:
    """Pack a list of as many copies of an item as fit."""
    count = count or SIZE // len(item)
    return b"\xdd" + struct.pack(">I", count) + item * count


def nested(header: bytes, claimed: int, depth: int = 1000) -> bytes:
    return (header[:1] + struct.pack(">I", claimed) + header[1:]) * depth + b"\xc0" * SIZE


def many_keys(count: int) -> bytes:
    keys = (b"\xa3" + f"{number:03x}"[-3:].encode("latin-1") for number in range(4096))
    distinct = [key + b"\xc0" for key in keys]
    return (
        b"\xdf" + struct.pack(">I", count) + b"".join(distinct * (count // 4096 + 1))[: 5 * count]
    )


HOSTILE: dict[str, bytes] = {
    "empty lists": filled(b"\x90"),
    "lists of one": filled(b"\x91\xc0"),
    "pairs": filled(b"\x92\xe0\xe0"),
    "empty dicts": filled(b"\x80"),
    "dicts in dicts": filled(b"\x81\xa0\x80"),
    "dicts with keys of bytes": filled(b"\x81\xc4\x00\x80"),
    "a dict of the same key": b"\xdf" + struct.pack(">I", SIZE // 2) + b"\xa0\xc0" * (SIZE // 2),
    "a dict of many keys": many_keys(SIZE // 5),
    "nil": filled(b"\xc0"),
    "small numbers": filled(b"\xe0"),
    "small numbers, as many as may be": filled(b"\xe0", 2**20 - 100),
    "numbers of two bytes": filled(b"\xd0\x80"),
    "numbers of three bytes": filled(b"\xcd\x01\x01"),
    "short floats": filled(b"\xca\0\0\0\0"),
    "empty texts": filled(b"\xa0"),
    "short texts": filled(b"\xa2\xc4\x80"),
    "texts in short lists": filled(b"\x9d" + b"\xa2\xc4\x80" * 13),
    "texts in deep lists": filled(b"\x91" * 9 + b"\x90" + b"\xa2\xc4\x80" * 40),
    "deep lists": filled(b"\x91" * 90 + b"\x90"),
    "short bytes": filled(b"\xc4\x02ab"),
    "extensions": filled(b"\xd4\x05a"),
    "timestamps": filled(b"\xd6\xff\0\0\0\0"),
    "long lists in each other": nested(b"\xdd", SIZE - 5000),
    "shorter lists in each other": nested(b"\xdd", 8000),
    "long dicts in each other": nested(b"\xdf\xa0", SIZE // 4 - 6000, 900),
}

IN_ITS_OWN_PROCESS = """
import sys, time
from tests.core.samples.test_weights import HOSTILE, TYPES
from tests.peak_memory import forget_peak, peak_megabytes
from atdata.errors import AtdataError

field, cost = sys.argv[1], {}
for read in (lambda data: None, TYPES[field].from_bytes):
    for case, value in HOSTILE.items():
        data = b"\\x81" + bytes([0xA0 | len(field)]) + field.encode() + value
        forget_peak()
        before, started = peak_megabytes(), time.process_time()
        try:
            read(data)
        except AtdataError:
            pass
        cost[case] = peak_megabytes() - before, time.process_time() - started
dear = {case: paid for case, paid in cost.items() if paid[0] > 64 or paid[1] > 2}
sys.exit(f"too dear: {dear}" if dear else 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the peak of memory, as Linux has it")
@pytest.mark.parametrize("field", TYPES)
def test_two_megabytes_of_msgpack_take_little_memory_and_time_whatever_they_are(field: str) -> None:
    command = [sys.executable, "-c", IN_ITS_OWN_PROCESS, field]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=without_coverage()
    )
    assert not done.returncode, done.stderr


HONEST: dict[str, Any] = {
    "a million tokens": [number % 50_000 for number in range(1_000_000)],
    "a million small tokens": [7] * 1_000_000,
    "a dict of many words": {f"word {number}": number for number in range(50_000)},
    "pairs": [[number, number + 1] for number in range(50_000)],
    "annotations": [{"box": [1, 2, 3, 4], "label": "cat", "score": 0.5}] * 20_000,
    "bytes": bytes(8_000_000),
}


@pytest.mark.parametrize("case", HONEST)
def test_large_honest_samples_are_written_and_read(case: str) -> None:
    value = HONEST[case]
    assert TYPED.from_bytes(TYPED({"a": value}).packed).meta["a"] == value
    assert DictSample.from_bytes(DictSample(a=value).packed)["a"] == value


def test_a_sample_that_is_too_heavy_is_named_with_the_limit_and_what_to_do() -> None:
    light, heavy = DictSample(meta={}).packed, b"\x81\xa4meta" + filled(b"\x80", 117_000)
    data = tar_bytes((f"{number}.msgpack", heavy if number == 6 else light) for number in range(9))
    message = r"1,048,576 values.*arrays.*sample '6' of shard the-shard"
    for sample_type in (TYPED, DictSample):
        with pytest.raises(LimitExceededError, match=message) as raised:
            as_columns(io.BytesIO(data), sample_type)
        assert (raised.value.details["key"], raised.value.details["limit"]) == ("6", 2**20)
        assert outcome(one_by_one, data, sample_type)[1] == str(raised.value)


# Whether a sample may be is said by ``2**20``, or by its bytes where they are more than twice that.
HEAVIEST: dict[str, Callable[[int], Any]] = {
    "empty lists": lambda more: {"a": [[]] * (262_137 + more)},
    "in three megabytes": lambda more: {"a": [[]] * (374_994 + more), "b": "b" * 2_624_993},
}


@pytest.mark.parametrize("case", HEAVIEST)
def test_what_would_not_be_read_is_not_written(case: str) -> None:
    make = HEAVIEST[case]
    for sample_type in (TYPED, DictSample):
        sample_type.from_bytes(sample_type(make(-9)).packed)
        with pytest.raises(LimitExceededError, match="store numbers as arrays"):
            _ = sample_type(make(9)).packed


values = st.recursive(
    st.none() | st.integers(-9, 300) | st.text(max_size=3) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=25,
)


@given(st.dictionaries(st.text(max_size=2), values), st.integers(10, 120), st.integers(1, 8))
def test_a_sample_is_read_if_and_only_if_it_is_written(
    meta: dict[str, Any], light: int, each: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (codec, weights):
            patch.setattr(module, "LIGHT", light)
            patch.setattr(module, "UNWEIGHED", light // 9, raising=False)
        patch.setattr(weights, "_LONG", 3)
        patch.setattr(weights, "_BYTES", each)
        for sample, plain in (
            (TYPED(meta), {"meta": meta, "note": ""}),
            (DictSample(meta=meta), {"meta": meta}),
        ):
            data = msgpack.packb(plain)
            try:
                assert sample.packed == data
                assert type(sample).from_bytes(data) == sample
            except LimitExceededError:
                with pytest.raises(LimitExceededError):
                    _ = sample.packed
                with pytest.raises(LimitExceededError):
                    type(sample).from_bytes(data)


def test_reading_copies_no_list_that_has_nothing_to_convert() -> None:
    groups = [["a"], ["b"]]
    assert GROUPS.from_data({"groups": groups}).groups is groups
    reals = REALS.from_data({"reals": [1, 2.5, -0.0]}).reals
    assert list(map(repr, reals)) == ["1.0", "2.5", "-0.0"]


def test_the_same_key_twice_is_refused_in_large_samples_too() -> None:
    twice = b"\x82\xa4meta\x82\xa1a\xc0\xa1a\xc0\xa4note" + msgpack.packb("n" * 200_000)
    with pytest.raises(AtdataError, match="same key twice"):
        TYPED.from_bytes(twice)
