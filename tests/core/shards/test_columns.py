"""Reading samples as columns gives what reading them one by one gives, errors included."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.shard_files import shard_bytes, tar_bytes
from webdataset.writer import TarWriter

from atdata import DictSample, packable
from atdata.errors import MissingMsgpackError
from atdata.shards import ShardReader
from atdata.shards.runs import Run
from atdata.shards.tar import BLOCK


@packable
class Numbers:
    """Fixed widths alone."""

    values: NDArray  # type: ignore[type-arg]
    index: int
    score: float
    good: bool


@packable
class Texts:
    """Two texts behind a number."""

    text: str
    title: str
    index: int


@packable
class Mixed:
    """Everything that a field can be."""

    tags: list[str]
    image: NDArray[np.uint8]
    label: str
    weight: float | None
    extra: NDArray | None  # type: ignore[type-arg]
    raw: bytes
    meta: dict  # type: ignore[type-arg]
    note: str | None


Make = Callable[[int, random.Random], Any]


def _numbers(index: int, rng: random.Random) -> Numbers:
    length = rng.choice([3, 3, 3, 3, 0])
    return Numbers(np.full(length, index, "<f4"), index, index / 3, index % 2 == 0)


def _texts(index: int, rng: random.Random) -> Texts:
    return Texts("é" * rng.choice([1, 1, 40, 300, 700]), "t" * rng.randrange(3), index)


def _mixed(index: int, rng: random.Random) -> Mixed:
    return Mixed(
        ["a"] * rng.randrange(3),
        np.full((2, 2), index % 256, np.uint8),
        "x" * rng.randrange(2),
        rng.choice([None, 0.5]),
        rng.choice([None, np.asfortranarray(np.ones((2, 3)) * index)]),
        bytes(rng.randrange(2)),
        {"k": index},
        rng.choice([None, "note"]),
    )


_MAKERS: dict[type[Any], Make] = {Numbers: _numbers, Texts: _texts, Mixed: _mixed}


def _write_ours(samples: list[Any]) -> bytes:
    return shard_bytes(samples)


def _write_webdataset(samples: list[Any]) -> bytes:
    stream = io.BytesIO()
    with TarWriter(stream) as sink:
        for number, sample in enumerate(samples):
            sink.write({**sample.as_wds, "__key__": f"s{number:04d}"})
    return stream.getvalue()


def _write_tarfile(form: int, *, extra: bool = False) -> Callable[[list[Any]], bytes]:
    def write(samples: list[Any]) -> bytes:
        members = []
        for number, sample in enumerate(samples):
            members.append((f"dir/{number}.msgpack", sample.packed))
            if extra and number % 7 == 0:
                members.append((f"dir/{number}.json", b"{}"))
        return tar_bytes(members, form)

    return write


_WRITERS = {
    "ours": _write_ours,
    "webdataset": _write_webdataset,
    "ustar": _write_tarfile(tarfile.USTAR_FORMAT),
    "gnu": _write_tarfile(tarfile.GNU_FORMAT),
    "with other members": _write_tarfile(tarfile.USTAR_FORMAT, extra=True),
}


@settings(max_examples=300)
@example("Numbers", "ours", 300, 0, 1 << 20, [], None, False)
@example("Texts", "webdataset", 300, 1, 1 << 20, [], None, False)
@given(
    kind=st.sampled_from([kind.__name__ for kind in _MAKERS]),
    writer=st.sampled_from(list(_WRITERS)),
    count=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    window=st.sampled_from([4096, 20_480, 1 << 20]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=2),
    cut=st.none() | st.floats(0, 1),
    untyped=st.booleans(),
)
def test_columns_and_single_samples_agree(  # noqa: PLR0913, PLR0917 -- every way in which shards differ
    kind: str,
    writer: str,
    count: int,
    seed: int,
    window: int,
    flips: list[tuple[float, int]],
    cut: float | None,
    untyped: bool,
) -> None:
    written_type = next(each for each in _MAKERS if each.__name__ == kind)
    rng = random.Random(seed)
    samples = [_MAKERS[written_type](number, rng) for number in range(count)]
    data = bytearray(_WRITERS[writer](samples))
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    shard = bytes(data if cut is None else data[: int(cut * len(data))])
    sample_type = DictSample if untyped else written_type
    expected = outcome(one_by_one, shard, sample_type)
    if expected == []:
        # Only the reader of whole shards minds that there is nothing in one.
        return
    assert outcome(as_columns, io.BytesIO(shard), sample_type, window) == expected
    if not flips and cut is None and not untyped:
        assert expected == samples


# Where a header says name, size, time and checksum; the record of an extended header begins alike.
_FIELDS = [range(12), range(96, 100), range(116, 124), range(124, 136), range(136, 160)]


@settings(max_examples=300)
@example("ours", 40, 135, b"7", True)
@example("webdataset", 81, 0, b":", False)
@given(
    writer=st.sampled_from(["ours", "webdataset"]),
    block=st.integers(0, 159),
    at=st.sampled_from([place for field in _FIELDS for place in field]),
    found=st.binary(min_size=1, max_size=12)
    | st.text("0123456789:;/. \0a=\n", min_size=1, max_size=12).map(str.encode),
    is_summed=st.booleans(),
)
def test_headers_are_read_alike_whatever_they_hold(
    writer: str, block: int, at: int, found: bytes, is_summed: bool
) -> None:
    data = bytearray(_WRITERS[writer]([_numbers(n, random.Random(7)) for n in range(40)]))
    start = block * BLOCK % len(data)
    data[start + at : start + at + len(found)] = found
    if is_summed:
        header = data[start : start + BLOCK]
        header[148:156] = b" " * 8
        data[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    expected = outcome(one_by_one, bytes(data), Numbers)
    assert outcome(as_columns, io.BytesIO(data), Numbers) == expected


@pytest.mark.parametrize("sample_type", _MAKERS, ids=lambda kind: kind.__name__)
def test_regular_samples_are_read_as_long_runs(sample_type: type[Any]) -> None:
    # Texts may differ in length from sample to sample; what comes before them may not.
    chances = random.Random(1)
    samples = [
        _MAKERS[sample_type](number, chances if sample_type is Texts else random.Random(7))
        for number in range(500)
    ]
    for write in (_write_ours, _write_webdataset):
        rows = list(ShardReader(sample_type).read(io.BytesIO(write(samples)), "the-shard"))
        assert sum(len(part) for part in rows if isinstance(part, Run)) >= 0.9 * len(samples)


def test_single_samples_own_writable_memory() -> None:
    samples = [_numbers(number, random.Random(7)) for number in range(50)]
    first, *rest = as_columns(io.BytesIO(shard_bytes(samples)), Numbers)
    first.values[:] = -1
    assert rest == samples[1:]


def test_an_unfinished_sample_before_a_series_is_missing_its_msgpack() -> None:
    samples: list[Any] = [_numbers(number, random.Random(7)) for number in range(9)]
    members = [
        ("a.json", b"{}"),
        *((f"{n}.msgpack", sample.packed) for n, sample in enumerate(samples)),
    ]
    with pytest.raises(MissingMsgpackError, match="'a'"):
        as_columns(io.BytesIO(tar_bytes(members)), Numbers)


def test_members_behind_a_series_belong_to_its_last_sample_in_long_folders_too() -> None:
    # A name of more than 100 bytes begins in another field of the header.
    samples: list[Any] = [_numbers(number, random.Random(7)) for number in range(9)]
    folder = f"{'a' * 80}/{'b' * 20}/"
    members = [(f"{folder}{n}.msgpack", sample.packed) for n, sample in enumerate(samples)]
    shard = tar_bytes([*members, (f"{folder}8.json", b"{}")])
    assert as_columns(io.BytesIO(shard), Numbers) == samples


@packable
class Doubled:
    """A sample that is not just what is stored of it."""

    index: int

    def __post_init__(self) -> None:
        self.index *= 2


def test_what_a_class_does_to_its_samples_shows_in_batches() -> None:
    shard = shard_bytes([Doubled(number) for number in range(20)])
    found = [sample.index for sample in as_columns(io.BytesIO(shard), Doubled)]
    assert found == [4 * number for number in range(20)]
