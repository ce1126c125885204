"""A documented import path of ``promote_to_atmosphere``, which ``atdata-atmosphere`` provides."""

from __future__ import annotations

from typing import Any

from atdata import plugins


def __getattr__(name: str) -> Any:
    if name != "promote_to_atmosphere":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return plugins.official_module("atdata-atmosphere").promote_to_atmosphere
