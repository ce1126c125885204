"""Comparing many rows of bytes with one, but for the bytes that may differ.

Bytes are compared eight at a time as words: the members of a tar begin at multiples of 512, so
every row of a matrix of them can be seen as words without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

_WORD = 8
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class Template:
    """What rows must look like: some bytes of a model, the others free."""

    def __init__(self, model: bytes, fixed: Iterable[slice]) -> None:
        """Take the bytes of a model that the slices cover as those that must be equal."""
        size = -(-len(model) // _WORD) * _WORD
        bytes_, mask = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        bytes_[: len(model)] = np.frombuffer(model, np.uint8)
        for part in fixed:
            mask[part] = 0xFF
        self._words = (bytes_ & mask).view(np.uint64)
        self._mask = mask.view(np.uint64)
        self._spans = spans(self._mask == _ALL)
        partly = (self._mask != 0) & (self._mask != _ALL)
        self._partial = np.flatnonzero(partly).tolist()

    def matches(self, rows: Words) -> Any:
        """Tell which rows agree with the model; rows have at least as many words as it."""
        good = np.ones(len(rows), np.bool_)
        for start, stop in self._spans:
            good &= all_of(rows[:, start:stop] == self._words[start:stop])
        for word in self._partial:
            good &= (rows[:, word] & self._mask[word]) == self._words[word]
        return good


def spans(condition: Any) -> list[tuple[int, int]]:
    """Return where a condition begins and ceases to hold."""
    edges = np.flatnonzero(np.diff(condition, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def all_of(condition: Any) -> Any:
    """Tell which rows of a condition hold throughout."""
    # Reducing everything is many times as fast as reducing row by row, and most often enough.
    return np.ones(len(condition), np.bool_) if condition.all() else condition.all(axis=1)


def leading(good: Any) -> int:
    """Count the rows before the first that is not good."""
    return len(good) if good.all() else int(good.argmin())
