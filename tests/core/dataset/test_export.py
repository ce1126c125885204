"""Datasets as Arrow tables, Parquet files and pandas frames: every value, and no half files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sample_types import Item, Number, items
from tests.shard_files import BytesSource, shard_bytes

from atdata import Dataset, DictSample, packable
from atdata.dataset.chunks import CHUNK_ROWS
from atdata.errors import FieldError, StorageError


@packable
class Row:
    number: int
    score: float | None
    text: str | None
    flag: bool
    raw: bytes
    tags: list[str]
    nested: list[list[int]]
    extra: dict[str, Any]
    vector: NDArray[np.float32]
    maybe: NDArray[np.int16] | None


@packable
class Values:
    values: NDArray[Any]


@packable
class Maybe:
    number: int | None
    values: NDArray[Any] | None


def row(number: int) -> Row:
    return Row(
        number=2**60 + number,
        score=None if number % 3 == 0 else number / 2,
        text=None if number % 2 else f"t{number}",
        flag=number % 2 == 0,
        raw=bytes([number % 256]),
        tags=["a"] * (number % 3),
        nested=[[1], [], [2, 3]],
        extra={"n": number},
        vector=np.full(3, number, np.float32),
        maybe=None if number % 4 == 0 else np.arange(number % 5, dtype=np.int16),
    )


def dataset(samples: list[Any], sample_type: type[Any] | None = None) -> Dataset[Any]:
    source = BytesSource({"x": shard_bytes(samples)})
    return Dataset(source, sample_type=sample_type or type(samples[0]))


def plain(sample: Row) -> dict[str, Any]:
    values = vars(sample)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def test_to_arrow_holds_every_value() -> None:
    samples = [row(number) for number in range(50)]
    table = dataset(samples).to_arrow()
    assert table.to_pylist() == [plain(sample) for sample in samples]
    assert table.schema.field("vector").type == pa.list_(pa.float32())
    assert table.schema.field("number").type == pa.int64()


def test_to_parquet_holds_every_value(tmp_path: Path) -> None:
    samples = [row(number) for number in range(3000)]
    dataset(samples).to_parquet(tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet").to_pylist() == [plain(s) for s in samples]
    assert [path.name for path in tmp_path.iterdir()] == ["o.parquet"]


def test_to_pandas_holds_every_value() -> None:
    samples = [row(number) for number in range(50)]
    frame = dataset(samples).to_pandas()
    assert list(frame.columns) == dataset(samples).column_names
    for name in frame.columns:
        for found, sample in zip(frame[name], samples, strict=True):
            expected = getattr(sample, name)
            if isinstance(expected, np.ndarray):
                assert found.dtype == expected.dtype
                assert np.array_equal(found, expected)
            else:
                assert found == expected or (found is None and expected is None)


def test_whole_columns_of_numbers_are_numbers_in_pandas() -> None:
    frame = dataset(items(3)).to_pandas()
    assert frame["number"].dtype == np.int64
    assert frame["number"].tolist() == [0, 1, 2]


def test_integers_beside_none_are_not_rounded_in_pandas() -> None:
    frame = dataset([Maybe(2**60 + 1, None), Maybe(None, None)]).to_pandas()
    assert frame["number"].tolist() == [2**60 + 1, None]


FORMS = {
    "vector": np.arange(4.0),
    "image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "0-d": np.array(1.5),
    "empty": np.zeros((0, 3), np.int8),
    "empty rows": np.zeros((3, 0), np.int8),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "half": np.arange(3, dtype=np.float16),
    "flags": np.array([True, False]),
    "dates": np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
    "text": np.array(["ab", "c"]),
}


@pytest.mark.parametrize("values", FORMS.values(), ids=FORMS)
def test_arrays_of_every_form_become_nested_lists(values: NDArray[Any], tmp_path: Path) -> None:
    ds = dataset([Values(values), Values(values)])
    assert ds.to_arrow()["values"].to_pylist() == [values.tolist()] * 2
    ds.to_parquet(tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["values"].to_pylist() == [values.tolist()] * 2


@settings(max_examples=60)
@given(
    st.integers(0, 3).flatmap(
        lambda rank: st.lists(
            st.none() | st.tuples(*[st.integers(0, 3)] * rank), min_size=1, max_size=6
        )
    )
)
def test_ragged_and_missing_arrays_become_nested_lists(shapes: list[Any]) -> None:
    samples = [
        Maybe(
            1, None if shape is None else np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        )
        for shape in shapes
    ]
    found = dataset(samples).to_arrow()["values"].to_pylist()
    expected = [sample.values for sample in samples]  # noqa: PD011 -- no frame of pandas
    assert found == [None if array is None else array.tolist() for array in expected]


@pytest.mark.parametrize(
    "values",
    [np.zeros(2, np.complex64), np.zeros(2, [("a", "i4")]), np.zeros(2, np.longdouble)],
    ids=["complex", "structured", "long double"],
)
def test_arrays_that_arrow_lacks_are_an_error_that_names_the_field(
    values: NDArray[Any], tmp_path: Path
) -> None:
    ds = dataset([Values(values)])
    with pytest.raises(FieldError, match=r"'values'.*(sample_map|map)"):
        ds.to_arrow()
    with pytest.raises(FieldError, match="'values'"):
        ds.to_parquet(tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == []
    assert ds.to_pandas()["values"][0].dtype == values.dtype


def test_arrays_of_different_ranks_or_dtypes_are_an_error() -> None:
    for other in (np.zeros((2, 2)), np.zeros(2, np.float32)):
        with pytest.raises(FieldError, match="'values' holds arrays of different"):
            dataset([Values(np.zeros(2)), Values(other)]).to_arrow()


@pytest.mark.parametrize("other", [np.float64, np.int64])
def test_a_dtype_that_changes_later_is_never_rounded(other: type[Any], tmp_path: Path) -> None:
    samples = [Values(np.zeros(2, np.float32))] * CHUNK_ROWS + [
        Values(np.full(2, 2**40 + 1, other))
    ]
    with pytest.raises(FieldError, match="'values' changes"):
        dataset(samples).to_parquet(tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_are_none_for_long_have_their_type_in_arrow() -> None:
    samples = [Maybe(1, None)] * CHUNK_ROWS + [Maybe(2, np.arange(3))] + [Maybe(1, None)] * 1500
    found = dataset(samples).to_arrow()["values"].to_pylist()
    assert found == [None] * CHUNK_ROWS + [[0, 1, 2]] + [None] * 1500


def test_arrays_that_are_none_for_too_long_are_a_clear_error_in_parquet(tmp_path: Path) -> None:
    samples = [Maybe(1, None)] * CHUNK_ROWS + [Maybe(2, np.arange(3))]
    with pytest.raises(FieldError, match="'values' was None"):
        dataset(samples).to_parquet(tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_are_always_none_are_written(tmp_path: Path) -> None:
    dataset([Maybe(1, None)] * (CHUNK_ROWS + 9)).to_parquet(tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["values"].to_pylist() == [None] * (CHUNK_ROWS + 9)


@packable
class Loose:
    extra: dict[str, Any]


def test_keys_of_dicts_are_never_dropped(tmp_path: Path) -> None:
    together = [Loose({"a": 1}), Loose({"b": "x"})]
    assert dataset(together).to_arrow()["extra"].to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": "x"},
    ]
    with pytest.raises(FieldError, match="'extra' changes"):
        dataset([Loose({"a": 1})] * CHUNK_ROWS + [Loose({"b": 2})]).to_parquet(
            tmp_path / "o.parquet"
        )


def test_fields_that_only_some_samples_have_are_never_dropped() -> None:
    found = dataset([DictSample(a=1), DictSample(a=2, b="x")])
    assert found.to_arrow().to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    assert found.to_pandas()["b"].tolist() == [None, "x"]
    late = dataset([DictSample(a=1)] * CHUNK_ROWS + [DictSample(a=2, b="x")])
    with pytest.raises(FieldError, match="'b' is not in the first"):
        late.to_arrow()


def test_untyped_samples_keep_arrays_as_stored_bytes() -> None:
    ds = Dataset(BytesSource({"x": shard_bytes(items(2))}))
    assert ds.to_arrow()["number"].to_pylist() == [0, 1]
    assert ds.to_arrow().schema.field("values").type == pa.binary()


def test_stages_apply(tmp_path: Path) -> None:
    ds = dataset(items(10)).filter(lambda s: s.number > 2).take(3)
    assert ds.to_arrow()["number"].to_pylist() == [3, 4, 5]
    assert ds.map(lambda s: Number(s.number), Number).to_arrow().to_pylist()[0] == {"number": 3}
    assert ds.select("text").to_arrow().column_names == ["text"]
    ds.to_parquet(tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["number"].to_pylist() == [3, 4, 5]


def test_dicts_that_a_map_makes_are_rows_of_their_own() -> None:
    ds = dataset(items(2))
    renamed = ds.map(lambda s: {"a": s.number, "b": s.text, "c": 1.5})
    assert renamed.to_arrow().to_pylist()[1] == {"a": 1, "b": "text 1", "c": 1.5}
    retyped = ds.map(lambda s: {"number": s.text, "text": s.number, "values": 1})
    assert retyped.to_arrow().to_pylist()[1] == {"number": "text 1", "text": 1, "values": 1}
    assert retyped.to_pandas()["number"].tolist() == ["text 0", "text 1"]


def test_samples_mapped_to_what_has_no_fields_are_an_error() -> None:
    for make in ("to_arrow", "to_pandas"):
        with pytest.raises(FieldError, match="int have no fields"):
            getattr(dataset(items(2)).map(lambda s: s.number), make)()


def test_a_sample_map_makes_the_columns(tmp_path: Path) -> None:
    ds = dataset(items(3))
    path = tmp_path / "o.parquet"
    ds.to_parquet(path, sample_map=lambda s: {"n": s.number, "long": np.int32(len(s.text))})
    assert pq.read_table(path).to_pylist()[2] == {"n": 2, "long": 6}
    with pytest.raises(FieldError, match="sample_map gave int"):
        ds.to_parquet(path, sample_map=lambda s: s.number)


@pytest.mark.parametrize(
    ("maxcount", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (1, [1] * 10), (99, [10])]
)
def test_maxcount_cuts_into_files(maxcount: int, sizes: list[int], tmp_path: Path) -> None:
    dataset(items(10)).to_parquet(tmp_path / "o.parquet", maxcount=maxcount)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"o-{n:06d}.parquet" for n in range(len(sizes))]
    tables = [pq.read_table(file)["number"].to_pylist() for file in files]
    assert [len(table) for table in tables] == sizes
    assert [number for table in tables for number in table] == list(range(10))


def test_a_file_of_less_than_one_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        dataset(items(1)).to_parquet(tmp_path / "o.parquet", maxcount=0)


def test_arguments_go_to_the_writer(tmp_path: Path) -> None:
    ds = dataset(items(3))
    ds.to_parquet(tmp_path / "o.parquet", compression="zstd", engine="pyarrow", index=False)
    meta = pq.read_metadata(tmp_path / "o.parquet")
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_pandas_reads_what_is_written(tmp_path: Path) -> None:
    dataset(items(3)).to_parquet(tmp_path / "o.parquet")
    frame = pd.read_parquet(tmp_path / "o.parquet")
    assert frame["text"].tolist() == ["text 0", "text 1", "text 2"]


def test_a_dataset_without_samples_has_its_columns(tmp_path: Path) -> None:
    ds = dataset([row(1)]).take(0)
    names = ds.column_names
    assert ds.to_arrow().column_names == names
    assert ds.to_arrow().schema.field("number").type == pa.int64()
    assert list(ds.to_pandas().columns) == names
    assert len(ds.to_pandas()) == 0
    ds.to_parquet(tmp_path / "o.parquet", compression="zstd")
    assert pq.read_table(tmp_path / "o.parquet").column_names == names


def test_an_untyped_dataset_without_samples_has_no_columns(tmp_path: Path) -> None:
    ds = Dataset(BytesSource({"x": shard_bytes(items(1))})).take(0)
    assert ds.to_arrow().num_rows == 0
    assert len(ds.to_pandas()) == 0
    ds.to_parquet(tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 0


@pytest.mark.parametrize("maxcount", [None, 400])
def test_an_error_half_way_leaves_no_half_file(maxcount: int | None, tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    path.write_bytes(b"before")

    def fail(sample: Item) -> dict[str, Any]:
        if sample.number == 1500:
            raise ZeroDivisionError
        return {"n": sample.number}

    with pytest.raises(ZeroDivisionError):
        dataset(items(3000)).to_parquet(path, sample_map=fail, maxcount=maxcount)
    assert path.read_bytes() == b"before"
    others = [file for file in tmp_path.iterdir() if file != path]
    assert [pq.read_table(file).num_rows for file in others] == ([400] * 3 if maxcount else [])


def test_what_parquet_cannot_hold_is_a_field_error(tmp_path: Path) -> None:
    ds = dataset([Loose({}), Loose({})])
    assert ds.to_arrow()["extra"].to_pylist() == [{}, {}]
    with pytest.raises(FieldError, match="Parquet cannot hold"):
        ds.to_parquet(tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "method", "extra"),
    [
        ("pyarrow", "to_arrow", "parquet"),
        ("pyarrow", "to_parquet", "parquet"),
        ("pandas", "to_pandas", "pandas"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    package: str, method: str, extra: str
) -> None:
    script = (
        "import sys; from atdata import Dataset; from atdata.errors import PluginNotFoundError\n"
        f"sys.modules[{package!r}] = None\n"
        f"try: Dataset('nowhere.tar').{method}(*{['o'] if method == 'to_parquet' else []})\n"
        "except PluginNotFoundError as error: print(error)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{package} is not installed; pip install 'atdata-core[{extra}]'\n"


def test_a_file_is_readable_by_those_the_umask_lets(tmp_path: Path) -> None:
    dataset(items(1)).to_parquet(tmp_path / "o.parquet")
    (tmp_path / "plain").touch()
    assert (tmp_path / "o.parquet").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"o\.parquet cannot be written: No such file"):
        dataset(items(1)).to_parquet(tmp_path / "nowhere" / "o.parquet")


FULL_DISK = """
import resource, sys
from pathlib import Path
from atdata.errors import StorageError
from tests.core.dataset.test_export import Values, dataset
import numpy as np
ds = dataset([Values(np.random.default_rng(n).random(5000)) for n in range(100)])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    ds.to_parquet(sys.argv[1])
except StorageError as error:
    print(type(error).__name__, list(Path(sys.argv[1]).parent.iterdir()))
"""


def test_w5_a_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "o.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("StorageError []\n", 0), done.stderr


BOUNDED = """
import sys
import numpy as np
from atdata import Dataset
from tests.peak_memory import peak_megabytes
from tests.core.dataset.test_export import Values
from tests.shard_files import BytesSource, shard_bytes

one = shard_bytes([Values(np.random.default_rng(0).random((256, 256)))] * 40)
ds = Dataset[Values](BytesSource({str(number): one for number in range(60)}))
import pyarrow.parquet
next(iter(ds))
before = peak_megabytes()
ds.to_parquet(sys.argv[1])
print(peak_megabytes() - before)
"""


def test_memory_is_bounded_however_much_is_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BOUNDED, str(tmp_path / "o.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    written = pq.read_metadata(tmp_path / "o.parquet")
    assert written.num_rows == 2400
    # Over a gigabyte of arrays passes through.
    assert int(done.stdout) < 600
