"""A run: samples that lie one behind the other in a shard and were read in one go.

Everything that reads samples reads runs. Today a run is a list of payloads decoded one by one; it
is also the place where samples of equal structure can be seen as columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from atdata.errors import CorruptDataError, FieldError
from atdata.samples.codec import located

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """Some consecutive samples of one shard: their keys and their packed bytes, in shard order."""

    shard: str
    keys: list[str]
    payloads: list[bytes]

    def __len__(self) -> int:
        return len(self.payloads)

    def decode(self, read: Callable[[bytes], T]) -> Iterator[T]:
        """Unpack the samples one by one; an error says which shard and key it is about."""
        for position, payload in enumerate(self.payloads):
            try:
                sample = read(payload)
            except (CorruptDataError, FieldError) as error:
                raise self._located(error, position) from error
            yield sample

    def split(self) -> Iterator[Run]:
        """Yield each sample as a run of its own, which keeps nothing of the others alive."""
        for key, payload in zip(self.keys, self.payloads, strict=True):
            yield Run(self.shard, [key], [payload])

    def _located(self, error: CorruptDataError | FieldError, position: int) -> Exception:
        key = self.keys[position]
        return located(error, f"sample {key!r} of shard {self.shard}", shard=self.shard, key=key)
