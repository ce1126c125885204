"""What can happen to samples between shard and reader: one small immutable value each.

A stage turns an iterator of samples into another. ``sample_type`` is the type it yields, None where
that is the type it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from atdata.lens import Lens
from atdata.samples import DictSample


class Stage:
    """One step of a dataset; picklable if the functions in it are."""

    sample_type: type[Any] | None = None
    # Whether every sample in makes exactly one sample out.
    one_to_one: bool = True

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        """Process samples lazily and in order."""
        raise NotImplementedError


@dataclass(frozen=True)
class View(Stage):
    """See each sample through a lens."""

    lens: Lens[Any, Any]

    @property
    def sample_type(self) -> type[Any]:  # type: ignore[override]
        """The lens's view type."""
        return self.lens.view_type

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        return map(self.lens.get, samples)


@dataclass(frozen=True)
class Map(Stage):
    """Replace each sample by a function's result."""

    function: Callable[[Any], Any]
    sample_type: type[Any] | None = None

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        return map(self.function, samples)


@dataclass(frozen=True)
class Filter(Stage):
    """Keep the samples a predicate is true of."""

    predicate: Callable[[Any], object]
    one_to_one = False

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        return filter(self.predicate, samples)


@dataclass(frozen=True)
class Take(Stage):
    """Keep the first samples."""

    count: int
    one_to_one = False

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        return islice(samples, self.count)


@dataclass(frozen=True)
class Select(Stage):
    """Keep some fields."""

    names: tuple[str, ...]
    sample_type: type[Any]

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        make = self.sample_type.from_data
        if self.sample_type is DictSample:
            return (make({name: sample[name] for name in self.names}) for sample in samples)
        return (make({name: getattr(sample, name) for name in self.names}) for sample in samples)
