"""Datasets as Arrow tables, Parquet files and pandas frames."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atdata.dataset.arrow import known_types, tables_of
from atdata.dataset.chunks import Chunks, Row, names_of, values_of
from atdata.dataset.stream import SampleStream
from atdata.errors import FieldError, PluginNotFoundError, StorageError
from atdata.samples import DictSample
from atdata.shards import Rows, Samples

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atdata.dataset.dataset import Dataset


def to_pandas(ds: Dataset[Any]) -> pd.DataFrame:
    """Read all samples into a frame, one column a field, arrays as objects."""
    with _needing("pandas"):
        import pandas as pd

    rows, _ = _exported(ds)
    chunks = list(Chunks(rows).take())
    names = list(dict.fromkeys(chain.from_iterable(map(names_of, chunks))))
    columns = names or ([] if ds.sample_type is DictSample else ds.column_names)
    return pd.DataFrame(
        {
            name: _series(pd, [value for chunk in chunks for value in values_of(chunk, name)])
            for name in columns
        }
    )


def to_arrow(ds: Dataset[Any]) -> pa.Table:
    """Read all samples into a table; an array of n dimensions becomes n nested lists."""
    with _needing("pyarrow"):
        import pyarrow as pa

    rows, known = _exported(ds)
    tables = tables_of(Chunks(rows).take(), known)
    # What was None throughout one table has its type from another.
    return pa.concat_tables(tables, promote_options="default")


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
    rows, known = (_one_by_one(_mapped(sample_map, ds)), {}) if sample_map else _exported(ds)
    # What pandas' writer also takes: the engine is always pyarrow, and there is no row index.
    options = {name: value for name, value in options.items() if name not in {"engine", "index"}}
    target, chunks = Path(path), Chunks(rows)
    if maxcount is None:
        _write_file(target, tables_of(chunks.take(), known), options)
        return
    for segment in count():
        if not chunks.has_more():
            return
        name = f"{target.stem}-{segment:06d}{target.suffix or '.parquet'}"
        _write_file(target.with_name(name), tables_of(chunks.take(maxcount), known), options)


def _exported(ds: Dataset[Any]) -> tuple[Iterator[Rows], dict[str, Any]]:
    """Return the rows of a dataset, and the types that are known before any is read."""
    if not ds.stages:
        kind = ds.sample_type
        stream = SampleStream(ds.source, kind, (), kind, registered=ds.registered)
        return stream.rows(), known_types(ds.schema)
    samples = iter(ds)
    first = list(islice(samples, 1))
    # A map may have made anything of the samples.
    is_typed = not first or isinstance(first[0], ds.sample_type)
    return _one_by_one(chain(first, samples)), known_types(ds.schema) if is_typed else {}


def _mapped(sample_map: Callable[[Any], Row], ds: Dataset[Any]) -> Iterator[Row]:
    for sample in ds:
        row = sample_map(sample)
        if not isinstance(row, Mapping):
            raise FieldError(f"sample_map gave {type(row).__name__}; it makes a dict of a sample")
        yield row


def _one_by_one(samples: Iterable[Any]) -> Iterator[Rows]:
    return (Samples([sample]) for sample in samples)


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
        # Arrow tells at length of the temporary file that nobody knows.
        why = os.strerror(error.errno) if error.errno else error
        raise StorageError(f"{target} cannot be written: {why}", path=str(target)) from error
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
