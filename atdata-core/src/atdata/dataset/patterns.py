"""Matching paths with patterns as a shell does, where ``**`` stands for any number of folders."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Match the segments of a pattern with those of a path; wildcards stop at its ends."""
    if not pattern:
        return not names
    first, *rest = pattern
    if pattern[:2] == ["**", "**"]:
        return matches(rest, names)
    if first == "**":
        return any(matches(rest, names[at:]) for at in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], first) and matches(rest, names[1:])
