"""The order of shuffled reading: first of shards, then of samples in a buffer."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shuffle:
    """How to shuffle; the order is a function of seed, epoch and worker, or new each time without seed."""

    buffer_shards: int
    buffer_samples: int
    seed: int | None = None
    epoch: int = 0

    def random(self, stream: str) -> random.Random:
        """Return the source of randomness of one stream of decisions."""
        if self.seed is None:
            return random.Random()
        # A string seeds through SHA-512, alike on every platform and Python.
        return random.Random(f"atdata {self.seed} {self.epoch} {stream}")


def shuffled(items: Iterable[T], buffer: int, rng: random.Random) -> Iterator[T]:
    """Yield items in random order through a buffer of that many.

    Each newcomer takes the place of a random one in the buffer, which is yielded; if everything fits
    the buffer the result is a uniform permutation.
    """
    held: list[T] = []
    source = iter(items)
    for item in source:
        held.append(item)
        if len(held) >= buffer:
            break
    for item in source:
        place = int(rng.random() * len(held))
        yield held[place]
        held[place] = item
    rng.shuffle(held)
    yield from held
