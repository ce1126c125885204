"""Datasets as Arrow tables, Parquet files and pandas frames."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atdata.errors import FieldError, PluginNotFoundError
from atdata.samples import DictSample
from atdata.samples.fields import Array, FieldType, List

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atdata.dataset.dataset import Dataset

CHUNK_ROWS = 1024
CHUNK_BYTES = 64 << 20

Row = Mapping[str, Any]


def to_pandas(ds: Dataset[Any]) -> pd.DataFrame:
    """Read all samples into a frame, one column a field, arrays as objects."""
    with _needing("pandas"):
        import pandas as pd

    rows = [_fields_of(sample) for sample in ds]
    names = list(dict.fromkeys(name for row in rows for name in row)) or ds.column_names
    return pd.DataFrame({name: _series(pd, [row.get(name) for row in rows]) for name in names})


def to_arrow(ds: Dataset[Any]) -> pa.Table:
    """Read all samples into a table; an array of n dimensions becomes n nested lists."""
    with _needing("pyarrow"):
        import pyarrow as pa

    tables = list(_tables(map(_fields_of, ds), _known_types(ds)))
    return pa.concat_tables(tables) if tables else pa.table({name: [] for name in ds.column_names})


def to_parquet(
    ds: Dataset[Any],
    path: str | os.PathLike[str],
    sample_map: Callable[[Any], Row] | None,
    maxcount: int | None,
    **options: Any,
) -> None:
    """Write all samples to one Parquet file, or to several of at most ``maxcount``."""
    with _needing("pyarrow"):
        import pyarrow as pa  # noqa: F401 -- the reason for failing is said before any work

    rows = map(sample_map or _fields_of, ds)
    known = {} if sample_map else _known_types(ds)
    # What pandas' writer also takes: the engine is always pyarrow, and there is no row index.
    options = {name: value for name, value in options.items() if name not in {"engine", "index"}}
    target = Path(path)
    if maxcount is None:
        _write_file(target, rows, known, options)
        return
    segment = 0
    while part := list(islice(rows, 1)):
        name = f"{target.stem}-{segment:06d}{target.suffix or '.parquet'}"
        _write_file(target.with_name(name), _chain(part, islice(rows, maxcount - 1)), known, options)
        segment += 1


def _write_file(target: Path, rows: Iterable[Row], known: Row, options: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    writer: pq.ParquetWriter | None = None
    try:
        for table in _tables(rows, known):
            writer = writer or pq.ParquetWriter(temporary, table.schema, **options)
            writer.write_table(table)
        if writer is None:
            pq.write_table(pa.table({name: pa.array([], kind) for name, kind in known.items()}), temporary)
        else:
            writer.close()
        Path(temporary).replace(target)
    except BaseException:
        if writer is not None:
            writer.close()
        Path(temporary).unlink()
        raise


def _chain(first: Sequence[Row], rest: Iterable[Row]) -> Iterator[Row]:
    yield from first
    yield from rest


def _tables(rows: Iterable[Row], known: Row) -> Iterator[pa.Table]:
    """Make tables of bounded size; the first decides the types of all."""
    import pyarrow as pa

    types = dict(known)
    for chunk in _chunks(rows):
        names = list(types) if len(types) == len(chunk[0]) else list(chunk[0])
        columns = {name: _column(name, [row.get(name) for row in chunk], types.get(name)) for name in names}
        types = {name: column.type for name, column in columns.items()}
        yield pa.table(columns)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(getattr(value, "nbytes", 0) for value in row.values())
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _column(name: str, values: list[Any], kind: pa.DataType | None) -> pa.Array:
    import pyarrow as pa

    try:
        if any(isinstance(value, np.ndarray) for value in values):
            column = _nested_lists(name, values)
            return column if kind is None else column.cast(kind)
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise FieldError(
            f"field {name!r} cannot become an Arrow column: {error}; convert it with sample_map or map",
            field=name,
        ) from error


def _nested_lists(name: str, values: list[Any]) -> pa.Array:
    """Turn arrays of equal rank and dtype, or None, into nested lists without a Python loop."""
    import pyarrow as pa

    arrays = [value for value in values if value is not None]
    if len({(array.ndim, array.dtype) for array in arrays}) != 1:
        raise FieldError(
            f"field {name!r} holds arrays of different ranks or dtypes; convert them with a map",
            field=name,
        )
    flat = np.concatenate([array.ravel() for array in arrays])
    column = pa.array(flat.astype(flat.dtype.newbyteorder("="), copy=False))
    shapes = np.array([np.shape(v) if v is not None else (0,) * arrays[0].ndim for v in values])
    missing = pa.array([value is None for value in values])
    if arrays[0].ndim == 0:
        return column if len(arrays) == len(values) else _with_gaps(column, values)
    for level in reversed(range(arrays[0].ndim)):
        lengths = np.repeat(shapes[:, level], np.prod(shapes[:, :level], axis=1, dtype=np.int64))
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        mask = missing if level == 0 and len(arrays) < len(values) else None
        column = pa.ListArray.from_arrays(offsets, column, mask=mask)
    return column


def _with_gaps(column: pa.Array, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    present = iter(column.to_pylist())
    return pa.array([None if value is None else next(present) for value in values], column.type)


def _known_types(ds: Dataset[Any]) -> dict[str, Any]:
    """Return the Arrow types that follow from the schema; those of arrays and dicts do not."""
    fields = ds.schema.fields
    return {field.name: _arrow_type(field.type) for field in fields}


def _arrow_type(kind: FieldType) -> pa.DataType | None:
    import pyarrow as pa

    if isinstance(kind, List):
        return pa.list_(_arrow_type(kind.items))
    if isinstance(kind, Array):
        return None
    plain = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    return {**plain, "bytes": pa.binary()}.get(kind.tag)


def _fields_of(sample: Any) -> Row:
    if isinstance(sample, DictSample):
        return sample.to_dict()
    return sample if isinstance(sample, dict) else vars(sample)


def _series(pd: Any, values: list[Any]) -> Any:
    has_objects = any(isinstance(value, np.ndarray | list | dict) for value in values)
    return pd.Series(values, dtype=object) if has_objects else pd.Series(values)


@contextmanager
def _needing(package: str) -> Iterator[None]:
    extra = {"pyarrow": "parquet"}.get(package, package)
    try:
        yield
    except ImportError as error:
        raise PluginNotFoundError(
            f"{package} is not installed; pip install 'atdata-core[{extra}]'", package=package
        ) from error
