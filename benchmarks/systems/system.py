"""What a system must do to be compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.workloads import Values, Workload

BUFFER = 10_000


class Reader(NamedTuple):
    """Samples or batches, to be iterated any number of times, and what takes the fields of one."""

    items: Iterable[Any]
    fields: Callable[[Any], tuple[Any, ...]]


class System(ABC):
    """A library as somebody who knows it would use it, in one process and on local files.

    Batches are one value a field: a numpy array where the samples' arrays are equal in shape, else
    any sequence.
    """

    def prepare(self, folder: Path, workload: Workload, samples: Iterable[Values]) -> list[Any]:
        """Make the samples what a user of the library would have; this is not timed."""
        return list(samples)

    @abstractmethod
    def write(self, folder: Path, workload: Workload, samples: list[Any]) -> None:
        """Write the samples into an empty folder."""

    def finish(self, folder: Path) -> None:  # noqa: B027 -- most have nothing left to do
        """Do what else must be done before they can be read; this is not timed."""

    @abstractmethod
    def ordered(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        """Open the samples in the order they were written."""

    @abstractmethod
    def shuffled(self, folder: Path, workload: Workload, batch: int | None) -> Reader:
        """Open the samples in random order, through a buffer of 10,000 where there is one."""


class Again:
    """Something to iterate that begins anew each time."""

    def __init__(self, start: Callable[[], Iterator[Any]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[Any]:
        return self._start()
