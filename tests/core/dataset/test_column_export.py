"""Exporting columns as they lie in the shards gives what exporting sample by sample gives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.shard_files import BytesSource, shard_bytes

from atdata import Dataset, DictSample, packable
from atdata.dataset.chunks import CHUNK_BYTES, CHUNK_ROWS
from atdata.errors import AtdataError


@packable
class Row:
    number: int
    score: float
    flag: bool
    raw: bytes
    array: NDArray[Any]
    count: int | None
    mask: NDArray[Any] | None
    text: str


class Look(NamedTuple):
    """What the samples of a stretch have in common; the first two make most stretches regular."""

    dtype: str = "<f4"
    shape: tuple[int, ...] = (3,)
    fortran: bool = False
    raw: int = 2
    whole: int | None = 7
    masked: bool = True
    large: bool = False
    texts: bool = True

    def samples(self, count: int) -> Iterator[Row]:
        for number in range(count):
            array = np.full(self.shape, number % 100, self.dtype)
            yield Row(
                (2**63 if self.large else -5) + number,
                number / 7,
                number % 3 == 0,
                bytes([number % 256]) * self.raw,
                np.asfortranarray(array) if self.fortran else array,
                self.whole,
                np.arange(number % 2 + 1) > 0 if self.masked else None,
                "é" * (number % 5) if self.texts else "",
            )


LOOKS = st.builds(
    Look,
    dtype=st.sampled_from(["<f4", ">i2", "|b1", "<f2", "<U3", "<M8[D]", "<c8"]),
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    fortran=st.booleans(),
    raw=st.integers(0, 3),
    whole=st.none() | st.just(7),
    masked=st.booleans(),
    large=st.sampled_from([False, False, False, True]),
    texts=st.booleans(),
)
STRETCHES = st.lists(
    st.tuples(st.just(Look()) | LOOKS, st.sampled_from([1, 4, 30, 90])), min_size=1, max_size=4
)


def dataset(samples: list[Any], sample_type: type[Any], shards: int = 1) -> Dataset[Any]:
    cuts = [len(samples) * number // shards for number in range(shards + 1)]
    parts = [samples[a:b] for a, b in pairwise(cuts) if a < b]
    source = BytesSource({f"shard {n}": shard_bytes(part) for n, part in enumerate(parts)})
    return Dataset(source, sample_type=sample_type)


def one_by_one(ds: Dataset[Any]) -> Dataset[Any]:
    """Give a dataset a stage, behind which there are nothing but samples."""
    return ds.filter(lambda _: True)


def outcome(export: Callable[[Dataset[Any]], Any], ds: Dataset[Any]) -> Any:
    """Return what an export gives, or show the error it raises."""
    try:
        return export(ds)
    except AtdataError as error:
        return f"{type(error).__name__}: {error}"


def table(ds: Dataset[Any]) -> Any:
    found = ds.to_arrow()
    found.validate(full=True)
    return found


def frame(ds: Dataset[Any]) -> Any:
    found = ds.to_pandas()
    # As text, for arrays are not equal as a whole.
    return repr(
        [
            (name, str(column.dtype), [(type(v), getattr(v, "dtype", None), v) for v in column])
            for name, column in found.items()
        ]
    )


def files(maxcount: int | None) -> Callable[[Dataset[Any]], Any]:
    def export(ds: Dataset[Any]) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            ds.to_parquet(Path(folder, "o.parquet"), maxcount=maxcount)
            return [described(path) for path in sorted(Path(folder).iterdir())]

    return export


def described(path: Path) -> Any:
    groups = pq.read_metadata(path)
    rows = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    return path.name, rows, pq.read_table(path)


@settings(max_examples=60)
@given(
    stretches=STRETCHES,
    sample_type=st.sampled_from([Row, DictSample]),
    shards=st.integers(1, 3),
    maxcount=st.none() | st.integers(20, 90),
)
def test_columns_and_samples_export_alike(
    stretches: list[tuple[Look, int]], sample_type: type[Any], shards: int, maxcount: int | None
) -> None:
    samples = [sample for look, count in stretches for sample in look.samples(count)]
    ds = dataset(samples, sample_type, shards)
    for export in (table, frame, files(maxcount)):
        assert outcome(export, ds) == outcome(export, one_by_one(ds))


@pytest.mark.parametrize(
    "stretches",
    [
        [(Look(), CHUNK_ROWS)],
        [(Look(), CHUNK_ROWS - 1), (Look(shape=(2,)), 2)],
        [(Look(), CHUNK_ROWS), (Look(dtype="<f8"), 1)],
        [(Look(whole=None, masked=False), CHUNK_ROWS), (Look(), 9)],
        [(Look(), CHUNK_ROWS), (Look(large=True), 9)],
    ],
    ids=["one chunk", "other shapes", "another dtype", "none for long", "large numbers late"],
)
@pytest.mark.parametrize("sample_type", [Row, DictSample])
def test_columns_and_samples_export_alike_from_chunk_to_chunk(
    stretches: list[tuple[Look, int]], sample_type: type[Any]
) -> None:
    samples = [sample for look, count in stretches for sample in look.samples(count)]
    ds = dataset(samples, sample_type)
    for export in (table, files(None), files(CHUNK_ROWS)):
        assert outcome(export, ds) == outcome(export, one_by_one(ds))


@packable
class Large:
    text: str
    raw: bytes
    array: NDArray[np.uint8]


# The window that shards are read through holds several of these.
SIZE = CHUNK_BYTES // 65


@pytest.mark.parametrize(
    "sample",
    [
        Large("x" * SIZE, b"", np.zeros(0, np.uint8)),
        Large("", bytes(SIZE), np.zeros(0, np.uint8)),
        Large("", b"", np.zeros(SIZE, np.uint8)),
    ],
    ids=["texts", "bytes", "arrays"],
)
def test_large_samples_are_cut_into_the_same_row_groups(sample: Large, tmp_path: Path) -> None:
    ds = dataset([sample] * 90, Large)
    for each in (ds, one_by_one(ds)):
        each.to_parquet(tmp_path / "o.parquet")
        meta = pq.read_metadata(tmp_path / "o.parquet")
        assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [66, 24]


def test_a_table_shares_no_memory_with_another() -> None:
    ds = dataset(list(Look().samples(100)), Row)
    first, second = ds.to_arrow(), ds.to_arrow()
    assert first.equals(second)
    addresses = [
        {chunk.values.buffers()[1].address for chunk in found["array"].chunks}
        for found in (first, second)
    ]
    assert not addresses[0] & addresses[1]


def test_arrays_of_a_frame_can_be_changed_one_by_one() -> None:
    found = dataset(list(Look().samples(50)), Row).to_pandas()["array"]
    found[0][:] = -1
    assert [array.tolist() for array in found[1:3]] == [[1, 1, 1], [2, 2, 2]]


@packable
class Doubled:
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


def test_what_a_class_does_to_its_samples_shows_in_columns() -> None:
    ds = dataset([Doubled(number) for number in range(50)], Doubled)
    expected = [sample.number for sample in ds]
    assert ds.to_arrow()["number"].to_pylist() == expected
    assert ds.to_pandas()["number"].tolist() == expected


def test_a_damaged_sample_is_the_same_error_either_way() -> None:
    data = bytearray(shard_bytes(Look().samples(60)))
    data[data.index(b"number", 20 * 1024)] ^= 1
    ds = Dataset(BytesSource({"x": bytes(data)}), sample_type=Row)
    assert outcome(table, ds) == outcome(table, one_by_one(ds))
    assert "of shard x" in str(outcome(table, ds))


def test_lists_are_nested_as_deep_as_arrays_have_dimensions() -> None:
    found = dataset(list(Look(shape=(2, 0, 3)).samples(20)), Row).to_arrow()
    assert found.schema.field("array").type == pa.list_(pa.list_(pa.list_(pa.float32())))
    assert found["array"].to_pylist() == [[[], []]] * 20
