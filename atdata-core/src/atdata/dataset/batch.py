"""``SampleBatch``: several samples whose fields are read as arrays and lists."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, cast

import numpy as np

from atdata.errors import BatchError
from atdata.samples.arrays import MAX_DIMENSIONS
from atdata.shards import Columns

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    DT = TypeVar("DT", default=Any)
else:
    from typing import TypeVar

    DT = TypeVar("DT")

_SHOWN = 5


class TypedAlias(types.GenericAlias):
    """``Class[T]``, which passes ``T`` on as ``sample_type`` when it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an instance that knows its type from the start."""
        origin: Any = self.__origin__
        sample_type = self.__args__[0]
        if sample_type is not Any:
            kwargs.setdefault("sample_type", sample_type)
        return origin(*args, **kwargs)

    def __repr__(self) -> str:
        return (
            f"{self.__origin__.__name__}[{getattr(self.__args__[0], '__name__', self.__args__[0])}]"
        )


class SampleBatch(Generic[DT]):
    """A batch of samples: ``batch.field`` is that field of all of them.

    Array fields are stacked along a new first axis; other fields, and optional arrays of which some
    are None, are lists. What is aggregated is kept, so the second access is free. A field whose
    name is taken (``samples``) is reached as ``batch["field"]``. Arrays are writable and nobody
    else's. Arrays of different shapes or dtypes are never converted: they are a ``BatchError``.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, sample_type: Any) -> TypedAlias:
            return TypedAlias(cls, (sample_type,))

    def __init__(
        self, samples: Sequence[DT] | Columns, *, sample_type: type[DT] | None = None
    ) -> None:
        self._rows: Columns | list[DT] = samples if isinstance(samples, Columns) else list(samples)
        # Generic code has only a type variable to give.
        self._sample_type = sample_type if isinstance(sample_type, type) else None
        self._fields: dict[str, Any] = {}

    @property
    def samples(self) -> list[DT]:
        """The samples one by one; their arrays may be views of the batch's."""
        if isinstance(self._rows, Columns):
            self._rows = cast("list[DT]", self._rows.samples())
        return self._rows

    @property
    def sample_type(self) -> type[DT]:
        """The type of the samples."""
        if self._sample_type is None:
            self._sample_type = type(self.samples[0]) if len(self) else cast("type[DT]", object)
        return self._sample_type

    def __getitem__(self, field: str) -> Any:
        """Aggregate one field; ``KeyError`` if the samples have none of that name."""
        try:
            return self._field(field)
        except AttributeError as error:
            raise KeyError(field) from error

    def __getattr__(self, name: str) -> Any:
        # Unpickling and copying ask for attributes before there are any.
        if name.startswith("_"):
            raise AttributeError(name)
        return self._field(name)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[DT]:
        return iter(self.samples)

    def __repr__(self) -> str:
        return f"SampleBatch[{self.sample_type.__name__}] of {len(self)}"

    def _field(self, name: str) -> Any:
        if name not in self._fields:
            self._fields[name] = self._aggregate(name)
        return self._fields[name]

    def _aggregate(self, name: str) -> Any:
        values = self._values(name)
        # Columns too have arrays one by one where they lie behind something of varying length.
        if isinstance(values, list) and values and all(isinstance(v, np.ndarray) for v in values):
            return _stack(name, values)
        return values

    def _values(self, name: str) -> Any:
        if not isinstance(self._rows, Columns):
            return [getattr(sample, name) for sample in self._rows]
        if name not in self._rows.form.kinds:
            raise AttributeError(f"samples of {self.sample_type.__name__} have no field {name!r}")
        return self._rows.column(name)


def _stack(name: str, arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Stack equal arrays along a new first axis, into memory of their own."""
    forms = {(array.dtype, array.shape) for array in arrays}
    if len(forms) > 1:
        shown = ", ".join(sorted(f"{dtype}{list(shape)}" for dtype, shape in forms)[:_SHOWN])
        raise BatchError(
            f"field {name!r} cannot be stacked, its arrays differ: {shown}; "
            "iterate with batch_size=None, or pad them in a lens or map",
            field=name,
            shapes=sorted(shape for _, shape in forms),
        )
    if len(arrays[0].shape) == MAX_DIMENSIONS:
        raise BatchError(
            f"field {name!r} cannot be stacked, as its arrays have all of numpy's "
            f"{MAX_DIMENSIONS} dimensions already; iterate with batch_size=None, or reshape them",
            field=name,
        )
    # Given its target, numpy keeps the byte order, which it would otherwise make native.
    stacked = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    return np.stack(arrays, out=stacked)
