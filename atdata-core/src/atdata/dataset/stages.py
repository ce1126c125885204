"""What can happen to samples between shard and reader: one small immutable value each.

A stage turns an iterator of samples into another. ``sample_type`` is the type it yields, None where
that is the type it is given.
"""

# ruff: noqa: D102 -- Stage.apply documents what every apply does.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_type_hints

from atdata.errors import FieldError
from atdata.lens import Lens
from atdata.samples import DictSample, PackableSample


class Stage:
    """One step of a dataset; picklable if the functions in it are.

    Stages call users' functions from generators, where a stray ``StopIteration`` is an error and
    not the end of the samples.
    """

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
        get = self.lens.get
        return (get(sample) for sample in samples)


@dataclass(frozen=True)
class Map(Stage):
    """Replace each sample by a function's result."""

    function: Callable[[Any], Any]
    sample_type: type[Any] | None = None

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        function = self.function
        return (function(sample) for sample in samples)


@dataclass(frozen=True)
class Filter(Stage):
    """Keep the samples a predicate is true of."""

    predicate: Callable[[Any], object]
    one_to_one = False

    def apply(self, samples: Iterable[Any]) -> Iterator[Any]:
        predicate = self.predicate
        return (sample for sample in samples if predicate(sample))


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
        return (self.sample_type.from_data(self._part(sample)) for sample in samples)

    def _part(self, sample: Any) -> dict[str, Any]:
        try:
            if isinstance(sample, DictSample | dict):
                return {name: sample[name] for name in self.names}
            return {name: getattr(sample, name) for name in self.names}
        except (KeyError, AttributeError) as error:
            absent = [name for name in self.names if not _has(sample, name)]
            raise FieldError(
                f"a sample has no field {', '.join(map(repr, absent))}, which was selected",
                fields=absent,
            ) from error


def _has(sample: Any, name: str) -> bool:
    return name in sample if isinstance(sample, DictSample | dict) else hasattr(sample, name)


def count_after(stages: Iterable[Stage], count: int | None) -> int | None:
    """Return how many of a number of samples are left after some stages; None if nobody knows."""
    for stage in stages:
        if isinstance(stage, Filter):
            return None
        if isinstance(stage, Take) and count is not None:
            count = min(count, stage.count)
    return count


def returned_type(function: Callable[..., Any]) -> type[Any] | None:
    """Return the sample type that a function's annotation says it returns, if one does."""
    try:
        returned = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError, SyntaxError):
        # Builtins, partials and unresolvable annotations say nothing of the type.
        return None
    is_sample = isinstance(returned, type) and issubclass(returned, PackableSample | DictSample)
    return returned if is_sample else None
