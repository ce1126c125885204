"""What the lists and dicts of a sample may weigh, as they take far more memory than bytes.

A byte can announce an empty list, of 72 bytes in memory, or a number of 40; four make a dict of
250. So lists and dicts are weighed as they are built, and building ends where a sample becomes too
heavy. Together with what texts take (29 bytes for one at worst) a sample needs at most 16 bytes of
memory for its weight and 24 for each of its own: 64 MiB for one of 2 MB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import msgpack
from msgpack import unpackb

from atdata.errors import AtdataError, CorruptDataError, LimitExceededError

Pairs = list[tuple[Any, Any]]
Distinct = Callable[[Pairs], dict[Any, Any]]
Refuse = Callable[[int, bytes], Any]

# A list weighs this much more than the number of its items.
_LIST = 3
_DICT, _PAIR = 8, 4
# What every sample may weigh; large ones may weigh one for every two bytes.
LIGHT = 1 << 20
_BYTES = 2
# An empty dict in a list: nothing weighs more for each of its bytes.
_HEAVIEST = _DICT + 1
# So much is never too heavy, and is not weighed.
UNWEIGHED = LIGHT // _HEAVIEST
# Longer lists and dicts are built only after all that they announce is known to be there, as
# memory is reserved for it at once, a thousand times over where they are nested.
_LONG = 1 << 13
_TOO_LONG = re.compile(r"exceeds max_(array|map)_len")
_LEAVES = frozenset({type(None), bool, int, float, str, bytes})


def unpack_weighed(data: bytes, type_name: str, distinct: Distinct, refuse: Refuse) -> Any:
    """Unpack msgpack bytes that are not too heavy, by functions that make dicts and refuse types.

    Raises:
        LimitExceededError: they are, which is found before there is much in memory.
        ValueError, msgpack.UnpackException: they are not valid msgpack.
    """
    try:
        try:
            return _Scale(data, distinct).unpack(refuse, _LONG, _LONG)
        except AtdataError:
            raise
        except ValueError:
            _check_announced(data)
        scale = _Scale(data, distinct)
        return scale.unpack(refuse, scale.left, scale.left // _PAIR)
    except ValueError as error:
        if isinstance(error, _TooHeavyError) or _TOO_LONG.search(str(error)):
            raise _too_heavy(f"the bytes of {type_name} hold", len(data)) from None
        raise


def check_weight(type_name: str, weight: int, size: int) -> None:
    """Refuse a sample of that many bytes that would be refused when it is read."""
    if weight > _most(size):
        raise _too_heavy(f"{type_name} has", size)


def weigh(value: Any) -> int:
    """Return what a value weighs that msgpack can hold, and all that is in it."""
    items: Collection[Any]
    if isinstance(value, dict):
        own, items = _DICT + _PAIR * len(value), value.values()
    elif isinstance(value, list | tuple):
        own, items = _LIST + len(value), value
    else:
        return 0
    return own if _LEAVES.issuperset(map(type, items)) else own + sum(map(weigh, items))


def weigh_fields(count: int) -> int:
    """Return what a sample of so many fields weighs without what is in them."""
    return _DICT + _PAIR * count


class _TooHeavyError(CorruptDataError):
    """What is being built is too heavy already."""


class _Scale:
    """Weighs lists and dicts as msgpack builds them, the innermost first."""

    __slots__ = ("_data", "_distinct", "left")

    def __init__(self, data: bytes, distinct: Distinct) -> None:
        self._data = data
        self._distinct = distinct
        self.left = _most(len(data))

    def unpack(self, refuse: Refuse, max_list: int, max_dict: int) -> Any:
        return unpackb(
            self._data,
            list_hook=self._weigh_list,
            object_pairs_hook=self._weigh_dict,
            ext_hook=refuse,
            max_array_len=max_list,
            max_map_len=max_dict,
        )

    def _weigh_list(self, items: list[Any]) -> list[Any]:
        self.left -= _LIST + len(items)
        if self.left < 0:
            raise _TooHeavyError("too heavy")
        return items

    def _weigh_dict(self, pairs: Pairs) -> dict[Any, Any]:
        self.left -= _DICT + _PAIR * len(pairs)
        if self.left < 0:
            raise _TooHeavyError("too heavy")
        return self._distinct(pairs)


def _check_announced(data: bytes) -> None:
    """Go through msgpack bytes without building anything; an error if they end too early."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()


def _most(size: int) -> int:
    return max(LIGHT, size // _BYTES)


def _too_heavy(what: str, size: int) -> LimitExceededError:
    most = _most(size)
    return LimitExceededError(
        f"{what} lists and dicts that count as more than {most:,} values, the most for "
        f"{size:,} bytes; store numbers as arrays, or split the sample",
        limit=most,
        size=size,
    )
