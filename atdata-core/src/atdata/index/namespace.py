"""``index.types``: the classes of loaded schemas, as attributes."""

from __future__ import annotations

from typing import Any


class TypeNamespace:
    """Sample classes by name; the one loaded last under a name is the one that is there."""

    def __init__(self) -> None:
        self._types: dict[str, type[Any]] = {}

    def add(self, sample_type: type[Any]) -> None:
        """Make a class available under its name."""
        self._types[sample_type.__name__] = sample_type

    def __getattr__(self, name: str) -> type[Any]:
        if name.startswith("__") or name == "_types":
            raise AttributeError(name)
        try:
            return self._types[name]
        except KeyError:
            raise AttributeError(
                f"no schema {name!r} is loaded here; load_schema(ref) loads one",
                name=name,
                obj=self,
            ) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._types]

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __repr__(self) -> str:
        return f"<types {', '.join(sorted(self._types)) or 'none loaded'}>"
