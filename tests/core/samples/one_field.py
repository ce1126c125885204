"""Sample types made for one annotation."""

from __future__ import annotations

from typing import Any

from atdata import packable


def one_field(annotation: Any, module: str = __name__) -> type[Any]:
    """Make a sample type ``S`` with a field ``x``, its annotation resolved in a module."""
    return packable(type("S", (), {"__annotations__": {"x": annotation}, "__module__": module}))
