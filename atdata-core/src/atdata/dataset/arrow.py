"""Rows of samples as Arrow tables of one schema."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from atdata.dataset.chunks import Chunk, names_of, values_of
from atdata.errors import FieldError
from atdata.samples.fields import Array, FieldType, List
from atdata.shards import Columns
from atdata.shards.columns import Arrays, Numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from atdata.samples import Schema

Types = dict[str, Any]
# A value a row, or arrays of one shape and dtype stacked along a first axis.
Values = list[Any] | np.ndarray[Any, Any]


def known_types(schema: Schema) -> Types:
    """Return the Arrow types that follow from a schema; None for arrays and dicts."""
    return {field.name: _arrow_type(field.type) for field in schema.fields}


def tables_of(chunks: Iterable[Chunk], known: Types) -> Iterator[pa.Table]:
    """Make at least one table; the first decides the names and, where not None, types of all.

    Raises:
        FieldError: a later chunk has a field or type that the first table has no place for.
    """
    import pyarrow as pa

    types: Types | None = None
    for chunk in chunks:
        names = names_of(chunk)
        types = dict.fromkeys([*known, *names]) if types is None else types
        if late := [name for name in names if name not in types]:
            raise FieldError(
                f"field {late[0]!r} is not in the first samples; give every sample all fields",
                fields=late,
            )
        columns = {
            name: _column(name, _values(chunk, name), known.get(name), settled)
            for name, settled in types.items()
        }
        types = {n: None if pa.types.is_null(c.type) else c.type for n, c in columns.items()}
        yield pa.table(columns)
    if types is None:
        yield pa.table({name: pa.array([], kind) for name, kind in known.items()})


def _values(chunk: Chunk, name: str) -> Values:
    """Return a field of all rows, as it lies in memory where Arrow takes it like that."""
    if not isinstance(chunk, Columns) or name not in chunk.names:
        return values_of(chunk, name)
    kind, raw = chunk.form.kinds[name], chunk.raw[name]
    if isinstance(kind, Arrays):
        return kind.column(raw)
    if isinstance(kind, Numbers):
        wide = np.dtype(np.float64 if kind.dtype.kind == "f" else np.int64)
        # Arrow looks at each unsigned integer of 64 bits, as some are too large.
        if np.can_cast(kind.dtype, wide):
            return raw.reshape(-1).view(kind.dtype).astype(wide)
    return values_of(chunk, name)


def _column(name: str, values: Values, declared: Any, settled: Any) -> pa.Array:
    import pyarrow as pa

    try:
        if isinstance(values, np.ndarray):
            column = _stacked_lists(values)
        elif any(isinstance(value, np.ndarray) for value in values):
            column = _ragged_lists(name, values)
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


def _stacked_lists(stacked: np.ndarray[Any, Any]) -> pa.Array:
    """Turn stacked values into values, or lists nested as deep as they have dimensions."""
    column = _flat(stacked.reshape(-1))
    for level in reversed(range(1, stacked.ndim)):
        count, length = math.prod(stacked.shape[:level]), stacked.shape[level]
        # Arrow's offsets have 32 bits; it refuses wider ones that do not fit.
        offsets = np.arange(count + 1, dtype=np.int32 if count * length < 2**31 else np.int64)
        offsets *= length
        column = _lists(offsets, column)
    return column


def _ragged_lists(name: str, values: list[Any]) -> pa.Array:
    """Turn arrays of equal rank and dtype, or None, into nested lists without a Python loop."""
    import pyarrow as pa

    arrays = [value for value in values if value is not None]
    only_arrays = all(isinstance(array, np.ndarray) for array in arrays)
    if not only_arrays or len({(array.ndim, array.dtype) for array in arrays}) != 1:
        raise FieldError(
            f"field {name!r} holds arrays of different ranks or dtypes; convert them with a map",
            field=name,
        )
    column = _flat(np.concatenate([array.ravel() for array in arrays]))
    rank = arrays[0].ndim
    if rank == 0:
        return _with_gaps(column, values) if len(arrays) < len(values) else column
    missing = pa.array([value is None for value in values]) if len(arrays) < len(values) else None
    shapes = np.array([(0,) * rank if value is None else value.shape for value in values])
    for level in reversed(range(rank)):
        lengths = np.repeat(shapes[:, level], np.prod(shapes[:, :level], axis=1, dtype=np.int64))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        column = _lists(offsets, column, None if level else missing)
    return column


def _flat(values: np.ndarray[Any, Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))


def _lists(offsets: np.ndarray[Any, Any], items: pa.Array, missing: pa.Array | None = None) -> Any:
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, mask=missing)


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
