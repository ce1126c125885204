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
    if "\0" in pattern:
        raise InvalidNameError(f"{pattern!r:.200} holds a NUL; no shard has such a name")
    if "{" not in pattern and "}" not in pattern:
        return [pattern]
    _check_size(pattern)
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


def common_start(texts: Sequence[str]) -> str:
    """Return the longest start that all texts share."""
    return os.path.commonprefix(texts)  # noqa: RUF071 -- by character, as brace patterns are


def _check_size(pattern: str) -> None:
    """Refuse what expands to more than anyone has before expanding it: fold it from the inside."""
    folded = pattern
    for _ in range(MAX_DEPTH):
        folded, groups = _GROUP.subn(lambda group: f"\0{_alternatives(group[1])}\0", folded)
        if not groups:
            break
    if "{" in folded or "}" in folded:
        raise InvalidNameError(f"the braces of {pattern!r:.200} do not match up")
    count = _product(folded)
    if count > MAX_SHARDS or count * len(folded) > MAX_TEXT:
        raise LimitExceededError(
            f"{pattern!r:.200} stands for more than {MAX_SHARDS} shards; split the dataset",
            pattern=pattern,
        )


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
