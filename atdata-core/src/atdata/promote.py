"""A documented import path of ``promote_to_atmosphere``, which ``atdata-atmosphere`` provides."""

from __future__ import annotations

from typing import Any

from atdata import plugins

_NAMES = frozenset({"_find_existing_schema", "promote_to_atmosphere"})


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(plugins.official_module("atdata-atmosphere"), name)
