"""``DictSample``: a sample without a type, for looking at data before defining one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import msgpack
import numpy as np

from atdata.errors import CorruptDataError, FieldError
from atdata.samples.arrays import array_to_bytes, is_equal
from atdata.samples.codec import describe, unpack_map
from atdata.samples.fields import Mismatch, plain
from atdata.samples.keys import new_key
from atdata.samples.showing import shown_sample
from atdata.samples.weights import check_weight, weigh

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})


class DictSample:
    """A sample whose fields are whatever the data holds, as attributes and as items.

    Arrays stay the bytes they are stored as; view the dataset through a typed class to decode
    them. A field named like one of the methods below is reached as an item only.
    """

    __slots__ = ("_data",)

    def __init__(self, _data: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        object.__setattr__(self, "_data", {**(_data or {}), **kwargs})

    @classmethod
    def from_bytes(cls, bs: bytes) -> Self:
        """Unpack a sample; ``CorruptDataError`` if the bytes are not one msgpack map."""
        data = unpack_map(bs)
        if not _SCALARS.issuperset(map(type, data.values())):
            try:
                data = plain(data)
            except Mismatch as error:
                raise CorruptDataError(
                    f"a sample holds {describe(error.value)} at {error.path}; "
                    f"expected {error.expected}"
                ) from None
        return cls.from_data(data)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Wrap unpacked values; a dict is taken over, not copied."""
        sample = cls.__new__(cls)
        object.__setattr__(sample, "_data", data if type(data) is dict else dict(data))
        return sample

    @property
    def packed(self) -> bytes:
        """The sample as msgpack bytes, arrays as ``.npy``.

        Raises:
            FieldError: a value is of another type.
            LimitExceededError: there is more in lists and dicts than would be read.
        """
        data = {name: _stored(name, value) for name, value in self._data.items()}
        try:
            stored = plain(data)
            packed: bytes = msgpack.packb(stored)
        except Mismatch as error:
            raise FieldError(
                f"DictSample{error.path}: expected {error.expected}, got {describe(error.value)}"
            ) from None
        # Integers of more than 64 bits, and strings with lone surrogates.
        except (ValueError, OverflowError) as error:
            raise FieldError(f"a DictSample cannot be packed: {error}") from error
        check_weight("a DictSample", weigh(stored), len(packed))
        return packed

    @property
    def as_wds(self) -> dict[str, Any]:
        """The sample as ``webdataset`` writes it: a unique new ``__key__``, ``msgpack`` bytes."""
        return {"__key__": new_key(), "msgpack": self.packed}

    def keys(self) -> list[str]:
        """Return the field names."""
        return list(self._data)

    def values(self) -> list[Any]:
        """Return the field values."""
        return list(self._data.values())

    def items(self) -> list[tuple[str, Any]]:
        """Return pairs of field name and value."""
        return list(self._data.items())

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field's value, or the default where there is no such field."""
        return self._data.get(key, default)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a new dict; values are shared."""
        return dict(self._data)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __getattr__(self, name: str) -> Any:
        # Unpickling and copying ask for attributes before there is any data.
        if name.startswith("__") or name == "_data":
            raise AttributeError(name)
        try:
            return self._data[name]
        except KeyError:
            raise AttributeError(
                f"this sample has no field {name!r}; it has {', '.join(self._data) or 'none'}",
                name=name,
                obj=self,
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a DictSample cannot be changed; make one from to_dict()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a DictSample cannot be changed; make one from to_dict()")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_data, (self._data,)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DictSample):
            return NotImplemented
        return is_equal(self._data, other.to_dict())

    __hash__ = None  # type: ignore[assignment]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._data]

    def __repr__(self) -> str:
        return shown_sample(type(self).__name__, self._data.items(), len(self._data))


def _stored(name: str, value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    try:
        return array_to_bytes(value)
    except FieldError as error:
        raise FieldError(f"DictSample[{name!r}]: {error}", field=name, **error.details) from None
