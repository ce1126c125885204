"""Datasets as Arrow tables, Parquet files and pandas frames."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atdata.dataset.columns import known_types, tables_of
from atdata.errors import FieldError, PluginNotFoundError, StorageError
from atdata.samples import DictSample

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atdata.dataset.dataset import Dataset

Row = Mapping[str, Any]


def to_pandas(ds: Dataset[Any]) -> pd.DataFrame:
    """Read all samples into a frame, one column a field, arrays as objects."""
    with _needing("pandas"):
        import pandas as pd

    rows = [_fields_of(sample) for sample in ds]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = names or ([] if ds.sample_type is DictSample else ds.column_names)
    return pd.DataFrame({name: _series(pd, [row.get(name) for row in rows]) for name in columns})


def to_arrow(ds: Dataset[Any]) -> pa.Table:
    """Read all samples into a table; an array of n dimensions becomes n nested lists."""
    with _needing("pyarrow"):
        import pyarrow as pa

    # What was None throughout one table has its type from another.
    return pa.concat_tables(tables_of(*_exported(ds)), promote_options="default")


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

    if maxcount is not None and maxcount < 1:
        raise ValueError(f"a file holds at least one sample, not {maxcount}; None means one file")
    rows, known = (_mapped(sample_map, ds), {}) if sample_map else _exported(ds)
    # What pandas' writer also takes: the engine is always pyarrow, and there is no row index.
    options = {name: value for name, value in options.items() if name not in {"engine", "index"}}
    target = Path(path)
    if maxcount is None:
        _write_file(target, tables_of(rows, known), options)
        return
    for segment, part in enumerate(_parts(rows, maxcount)):
        name = f"{target.stem}-{segment:06d}{target.suffix or '.parquet'}"
        _write_file(target.with_name(name), tables_of(part, known), options)


def _mapped(sample_map: Callable[[Any], Row], ds: Dataset[Any]) -> Iterator[Row]:
    for sample in ds:
        row = sample_map(sample)
        if not isinstance(row, Mapping):
            raise FieldError(f"sample_map gave {type(row).__name__}; it makes a dict of a sample")
        yield row


def _parts(rows: Iterator[Row], size: int) -> Iterator[Iterator[Row]]:
    """Cut rows into iterators of at most that many, each to be used up before the next."""
    for first in rows:
        yield chain([first], islice(rows, size - 1))


def _write_file(target: Path, tables: Iterator[pa.Table], options: dict[str, Any]) -> None:
    """Write tables beside the target, and give the file its name when it is complete."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        _write_tables(temporary, target, tables, options)
        with _written(target):
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_tables(
    file: Path, target: Path, tables: Iterator[pa.Table], options: dict[str, Any]
) -> None:
    import pyarrow.parquet as pq

    first = next(tables)
    with _written(target):
        writer = pq.ParquetWriter(file, first.schema, **options)
    try:
        for table in chain([first], tables):
            _check_schema(first.schema, table.schema)
            with _written(target):
                writer.write_table(table)
    finally:
        with _written(target):
            writer.close()


def _check_schema(first: pa.Schema, other: pa.Schema) -> None:
    late = [name for name in first.names if first.field(name).type != other.field(name).type]
    if late:
        raise FieldError(
            f"field {', '.join(map(repr, late))} was None in so many samples that its Parquet type "
            "was not known when the file was begun; leave it out, or fill it with a map",
            fields=late,
        )


def _exported(ds: Dataset[Any]) -> tuple[Iterator[Row], dict[str, Any]]:
    """Return the rows of a dataset, and the types that are known before any is read."""
    samples = iter(ds)
    first = list(islice(samples, 1))
    # A map may have made anything of the samples.
    is_typed = not first or isinstance(first[0], ds.sample_type)
    known = known_types(ds.schema) if is_typed else {}
    return map(_fields_of, chain(first, samples)), known


def _fields_of(sample: Any) -> Row:
    if isinstance(sample, DictSample):
        return sample.to_dict()
    if isinstance(sample, Mapping):
        return sample
    if not dataclasses.is_dataclass(sample):
        raise FieldError(
            f"samples mapped to {type(sample).__name__} have no fields to export; "
            "map them to a sample or a dict"
        )
    return {field.name: getattr(sample, field.name) for field in dataclasses.fields(sample)}


def _series(pd: Any, values: list[Any]) -> Any:
    """Make a column; as objects where pandas would round integers or replace None."""
    plain = all(isinstance(value, bool | int | float | str) for value in values)
    return pd.Series(values) if plain else pd.Series(values, dtype=object)


@contextmanager
def _written(target: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error}", path=str(target)) from error
    except pa.ArrowException as error:
        raise FieldError(
            f"Parquet cannot hold these samples: {error}; convert them with sample_map or map"
        ) from error


@contextmanager
def _needing(package: str) -> Iterator[None]:
    extra = {"pyarrow": "parquet"}.get(package, package)
    try:
        yield
    except ImportError as error:
        raise PluginNotFoundError(
            f"{package} is not installed; pip install 'atdata-core[{extra}]'", package=package
        ) from error
