"""How samples are shown: short whatever is in them, and without a look at most of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

_MOST = 2000
_FIELDS = 40
_ITEMS = 6
_LEVELS = 3
_TEXT = 60
_NAME = 40
_BITS = 256


def shown_sample(name: str, fields: Iterable[tuple[object, Any]], count: int) -> str:
    """Show a sample of so many fields: what it would be made by, but for large values."""
    parts = [f"{field!s:.{_NAME}}={_shown(value)}" for field, value in islice(fields, _FIELDS)]
    text = f"{name}({_listed(iter(parts), count, len(parts))})"
    return text if len(text) <= _MOST else f"{text[: _MOST - 4]}...)"


def _shown(value: Any, levels: int = _LEVELS) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype!s:.{_TEXT}} array of shape {value.shape}>"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return f"{value[:_TEXT]!r}..." if len(value) > _TEXT else repr(str(value))
    if isinstance(value, list | tuple | dict):
        return _shown_items(value, levels) if levels else "..."
    is_short = isinstance(value, int) and value.bit_length() <= _BITS
    if is_short or value is None or isinstance(value, float | np.generic):
        return f"{value!r:.{_TEXT}}"
    # The repr of a long int is an error, that of a stranger's object may be anything.
    return f"<{type(value).__name__}>"


def _shown_items(value: list[Any] | tuple[Any, ...] | dict[Any, Any], levels: int) -> str:
    if isinstance(value, dict):
        pairs = (
            f"{_shown(key)}: {_shown(item, levels - 1)}"
            for key, item in islice(value.items(), _ITEMS)
        )
        return f"{{{_listed(pairs, len(value), _ITEMS)}}}"
    items = (_shown(item, levels - 1) for item in value[:_ITEMS])
    listed = _listed(items, len(value), _ITEMS)
    if isinstance(value, list):
        return f"[{listed}]"
    return f"({listed},)" if len(value) == 1 else f"({listed})"


def _listed(shown: Iterator[str], count: int, most: int) -> str:
    rest = [f"... {count - most} more"] if count > most else []
    return ", ".join([*shown, *rest])
