"""``SampleBatch``: several samples whose fields are read as arrays and lists."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from atdata.errors import BatchError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    DT = TypeVar("DT", default=Any)
else:
    from typing import TypeVar

    DT = TypeVar("DT")


class TypedAlias(types.GenericAlias):
    """``Class[T]``, which passes ``T`` on as ``sample_type`` when it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sample_type = self.__args__[0]
        if isinstance(sample_type, type):
            kwargs.setdefault("sample_type", sample_type)
        return self.__origin__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.__origin__.__name__}[{getattr(self.__args__[0], '__name__', self.__args__[0])}]"


class SampleBatch(Generic[DT]):
    """A batch of samples: ``batch.field`` is that field of all of them.

    Array fields are stacked along a new first axis; other fields, and optional arrays of which some
    are None, are lists. What is aggregated is kept, so the second access is free. A field whose
    name is taken (``samples``) is reached as ``batch["field"]``. A missing array dtype conversion
    is never made: arrays of different shapes or dtypes are a ``BatchError``.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, sample_type: Any) -> TypedAlias:
            return TypedAlias(cls, (sample_type,))

    def __init__(self, samples: Sequence[DT], *, sample_type: type[DT] | None = None) -> None:
        self.samples = list(samples)
        self.sample_type: type[Any] = sample_type or _type_of_first(self.samples)
        self._columns: dict[str, Any] = {}

    def __getitem__(self, field: str) -> Any:
        """Aggregate one field; ``KeyError`` if the samples have none of that name."""
        try:
            return self._column(field)
        except AttributeError as error:
            raise KeyError(field) from error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_columns" not in self.__dict__:
            raise AttributeError(name)
        return self._column(name)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[DT]:
        return iter(self.samples)

    def __repr__(self) -> str:
        return f"SampleBatch[{self.sample_type.__name__}] of {len(self)}"

    def _column(self, name: str) -> Any:
        if name not in self._columns:
            values = [getattr(sample, name) for sample in self.samples]
            arrays = bool(values) and all(isinstance(value, np.ndarray) for value in values)
            self._columns[name] = _stack(name, values) if arrays else values
        return self._columns[name]


def _type_of_first(samples: Sequence[Any]) -> type[Any]:
    return type(samples[0]) if samples else object


def _stack(name: str, arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Stack equal arrays along a new first axis, into memory of their own."""
    forms = {(array.dtype, array.shape) for array in arrays}
    if len(forms) > 1:
        shown = ", ".join(sorted(f"{dtype}{list(shape)}" for dtype, shape in forms)[:5])
        raise BatchError(
            f"field {name!r} cannot be stacked, its arrays differ: {shown}; "
            "iterate with batch_size=None, or pad them in a lens or map",
            field=name,
            shapes=sorted(shape for _, shape in forms),
        )
    return np.stack(arrays)
