"""Sample types that several tests share, and that child processes can import."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atdata import PackableSample, lens, packable


@packable
class Item(PackableSample):
    """A number with something of every kind around it."""

    number: int
    text: str
    values: NDArray[np.float32]


@packable
class Label(PackableSample):
    """What a lens leaves of an item."""

    text: str


@packable
class Number(PackableSample):
    """The smallest sample."""

    number: int


@lens
def text_of(item: Item) -> Label:
    return Label(text=item.text)


def item(number: int) -> Item:
    return Item(number, f"text {number}", np.full(4, number, np.float32))


def items(count: int, start: int = 0) -> list[Item]:
    return [item(number) for number in range(start, start + count)]
