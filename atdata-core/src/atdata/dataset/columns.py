"""Rows of samples as Arrow tables of bounded size and one schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from atdata.errors import FieldError
from atdata.samples.fields import Array, FieldType, List

if TYPE_CHECKING:
    import pyarrow as pa

    from atdata.samples import Schema

CHUNK_ROWS = 1024
CHUNK_BYTES = 64 << 20

Row = Mapping[str, Any]
Types = dict[str, Any]


def known_types(schema: Schema) -> Types:
    """Return the Arrow types that follow from a schema; None for arrays and dicts."""
    return {field.name: _arrow_type(field.type) for field in schema.fields}


def tables_of(rows: Iterable[Row], known: Types) -> Iterator[pa.Table]:
    """Make at least one table; the first decides the names and, where not None, types of all.

    Raises:
        FieldError: a later row has a field or type that the first table has no place for.
    """
    import pyarrow as pa

    types: Types | None = None
    for chunk in _chunks(rows):
        names = dict.fromkeys(name for row in chunk for name in row)
        types = dict.fromkeys([*known, *names]) if types is None else types
        if late := [name for name in names if name not in types]:
            raise FieldError(
                f"field {late[0]!r} is not in the first samples; give every sample all fields",
                fields=late,
            )
        columns = {
            name: _column(name, [row.get(name) for row in chunk], known.get(name), settled)
            for name, settled in types.items()
        }
        types = {n: None if pa.types.is_null(c.type) else c.type for n, c in columns.items()}
        yield pa.table(columns)
    if types is None:
        yield pa.table({name: pa.array([], kind) for name, kind in known.items()})


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(map(_size, row.values()))
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    return len(value) if isinstance(value, str | bytes | list | dict) else 0


def _column(name: str, values: list[Any], declared: Any, settled: Any) -> pa.Array:
    import pyarrow as pa

    try:
        if any(isinstance(value, np.ndarray) for value in values):
            column = _nested_lists(name, values)
        else:
            column = pa.array(values, declared)
    except FieldError:
        raise
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise FieldError(
            f"field {name!r} cannot become an Arrow column: {error}; "
            "convert it with sample_map or map",
            field=name,
        ) from error
    if settled is None or column.type == settled:
        return column
    # Arrow would drop or round what an earlier type has no room for.
    if not _includes(settled, column.type):
        raise FieldError(
            f"field {name!r} changes from {settled} to {column.type}; convert it with a map",
            field=name,
        )
    return pa.array(column.to_pylist(), settled)


def _includes(settled: Any, found: Any) -> bool:
    """Whether everything of one Arrow type fits another unchanged."""
    import pyarrow as pa

    try:
        both = pa.unify_schemas(
            [pa.schema([("", settled)]), pa.schema([("", found)])], promote_options="permissive"
        )
    except pa.ArrowException:
        return False
    return bool(both.field(0).type == settled)


def _nested_lists(name: str, values: list[Any]) -> pa.Array:
    """Turn arrays of equal rank and dtype, or None, into nested lists without a Python loop."""
    import pyarrow as pa

    arrays = [value for value in values if value is not None]
    only_arrays = all(isinstance(array, np.ndarray) for array in arrays)
    if not only_arrays or len({(array.ndim, array.dtype) for array in arrays}) != 1:
        raise FieldError(
            f"field {name!r} holds arrays of different ranks or dtypes; convert them with a map",
            field=name,
        )
    flat = np.concatenate([array.ravel() for array in arrays])
    column = pa.array(flat.astype(flat.dtype.newbyteorder("="), copy=False))
    rank = arrays[0].ndim
    if rank == 0:
        return _with_gaps(column, values) if len(arrays) < len(values) else column
    missing = pa.array([value is None for value in values]) if len(arrays) < len(values) else None
    shapes = np.array([(0,) * rank if value is None else value.shape for value in values])
    for level in reversed(range(rank)):
        lengths = np.repeat(shapes[:, level], np.prod(shapes[:, :level], axis=1, dtype=np.int64))
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        column = pa.ListArray.from_arrays(offsets, column, mask=None if level else missing)
    return column


def _with_gaps(column: pa.Array, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    present = iter(column.to_pylist())
    return pa.array([None if value is None else next(present) for value in values], column.type)


def _arrow_type(kind: FieldType) -> pa.DataType | None:
    import pyarrow as pa

    if isinstance(kind, List):
        return pa.list_(_arrow_type(kind.items))
    if isinstance(kind, Array):
        return None
    plain = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    return {**plain, "bytes": pa.binary()}.get(kind.tag)
