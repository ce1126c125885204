"""Brace patterns such as ``data-{000..099}.tar``: expanded, counted first, and written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from atdata.errors import InvalidNameError, LimitExceededError

MAX_SHARDS = 100_000
MAX_TEXT = 1 << 28
MAX_DEPTH = 32

_GROUP = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?")
# What a group was folded into: how many alternatives it has.
_FOLDED = re.compile(r"\0(\d+)\0")
_LONGEST_NUMBER = 18


def expand_braces(pattern: str) -> list[str]:
    """Expand a brace pattern as a shell does.

    Raises:
        InvalidNameError: the braces are unbalanced, or nested too deeply.
        LimitExceededError: it stands for more than ``MAX_SHARDS`` shards.
    """
    return expand_all([pattern])


def expand_all(patterns: Sequence[str]) -> list[str]:
    """Expand several brace patterns, in order, of which the limit holds together.

    URLs without braces do not count. Raises as ``expand_braces`` does, before it expands any.
    """
    sizes = [_size(pattern) for pattern in patterns]
    if sum(count for count, _ in sizes) > MAX_SHARDS or sum(text for _, text in sizes) > MAX_TEXT:
        raise _too_many(f"{len(patterns)} patterns together stand", patterns[0])
    return [url for pattern in patterns for url in _expand(pattern)]


def _expand(pattern: str) -> list[str]:
    if not _has_braces(pattern):
        return [pattern]
    import braceexpand

    # Without escapes, as backslashes are path separators to some.
    return list(braceexpand.braceexpand(pattern, escape=False))


def join_urls(urls: Sequence[str]) -> str:
    """Write several URLs as one brace pattern: common start, alternatives, common end."""
    if len(urls) == 1:
        return urls[0]
    start = common_start(urls)
    rests = [url[len(start) :] for url in urls]
    end = common_start([rest[::-1] for rest in rests])[::-1]
    middles = [rest[: len(rest) - len(end)] for rest in rests]
    return f"{start}{{{','.join(middles)}}}{end}"


def as_patterns(pattern: str, shards: Sequence[str]) -> list[str]:
    """Return a pattern if it stands for exactly these shards, else the shards themselves.

    One whose URLs hold commas or braces may stand for others.
    """
    is_exact = not _has_braces(pattern) or expand_braces(pattern) == list(shards)
    return [pattern] if is_exact else list(shards)


def common_start(texts: Sequence[str]) -> str:
    """Return the longest start that all texts share."""
    return os.path.commonprefix(texts)  # noqa: RUF071 -- by character, as brace patterns are


def _has_braces(pattern: str) -> bool:
    return "{" in pattern or "}" in pattern


def _size(pattern: str) -> tuple[int, int]:
    """Count the shards of a pattern, and roughly their characters: fold it from the inside.

    What expands to more than anyone has is refused.
    """
    if "\0" in pattern:
        raise InvalidNameError(f"{pattern!r:.200} holds a NUL; no shard has such a name")
    if not _has_braces(pattern):
        return 0, 0
    folded = pattern
    for _ in range(MAX_DEPTH):
        folded, groups = _GROUP.subn(lambda group: f"\0{_alternatives(group[1])}\0", folded)
        if not groups:
            break
    if _has_braces(folded):
        raise InvalidNameError(f"the braces of {pattern!r:.200} do not match up")
    count = _product(folded)
    if count > MAX_SHARDS or count * len(folded) > MAX_TEXT:
        raise _too_many(f"{pattern!r:.200} stands", pattern)
    return count, count * len(folded)


def _too_many(what: str, pattern: str) -> LimitExceededError:
    message = f"{what} for more than {MAX_SHARDS} shards; split the dataset"
    return LimitExceededError(message, pattern=pattern)


def _alternatives(group: str) -> int:
    """Count what one group without groups in it stands for; beyond the limit, roughly."""
    if numbers := _RANGE.fullmatch(group):
        if max(map(len, numbers.groups())) > _LONGEST_NUMBER:
            return MAX_SHARDS + 1
        first, last = map(int, numbers.groups())
        return min(abs(last - first), MAX_SHARDS) + 1
    return min(sum(map(_product, group.split(","))), MAX_SHARDS + 1)


def _product(text: str) -> int:
    count = 1
    for alternatives in _FOLDED.findall(text):
        count = min(count * int(alternatives), MAX_SHARDS + 1)
    return count
