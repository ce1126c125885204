"""Which names a field or a sample type may have, whoever chose them.

Names from a stranger's schema become attributes of a class here, so the rule is narrow and the same
for everyone: plain ASCII identifiers that shadow nothing. ASCII also rules out look-alikes.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)

# What PackableSample itself needs, and what dataclasses would take for the default of a field.
RESERVED = frozenset({"packed", "as_wds", "from_bytes", "from_data", "_ensure_good", "self", "mro"})


def why_not_field(name: object) -> str | None:
    """Say why a name cannot be a field's, or None if it can."""
    return _why_not_identifier(name) or (
        f"{name!r} is a method or argument of every sample" if name in RESERVED else None
    )


def why_not_type(name: object) -> str | None:
    """Say why a name cannot be a sample type's, or None if it can."""
    return _why_not_identifier(name)


def _why_not_identifier(name: object) -> str | None:
    if not isinstance(name, str):
        return f"a name is a string, not {type(name).__name__}"
    if not _IDENTIFIER.fullmatch(name):
        return f"{name[:60]!r} is not an ASCII identifier of at most 100 characters"
    if keyword.iskeyword(name):
        return f"{name!r} is a Python keyword"
    if name.startswith("__"):
        return f"{name!r} begins with two underscores"
    return None


def why_not_together(names: Iterable[str]) -> str | None:
    """Say why field names cannot be in one type, or None if they can."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.lower()
        if folded in seen:
            return f"{seen[folded]!r} and {name!r} are the same but for their case"
        seen[folded] = name
    return None
