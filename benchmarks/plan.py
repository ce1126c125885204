"""Which process does what, and in which order."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import imports, index, s3
from benchmarks.launch import run
from benchmarks.rows import Row
from benchmarks.systems import GUESTS, READERS
from benchmarks.tasks import READS, WRITES, Task
from benchmarks.workloads import WORKLOADS

GROWN = ("single", "batches of 256", "shuffled batches")
TIMES = {f"{times} x": times for times in (1, 4, 16)}
SHARDS = {f"{shards} shards": shards for shards in (1, 10, 100)}

LARGE_INDEX = 100_000
_QUICK = 20
# There are too few images for a twentieth.
_QUICK_IMAGES = 10
# What has no data of its own is measured where that says something.
_GUEST_READS = {
    "limit": ("batches of 32",),
    "foreign": ("batches of 256",),
    "Lance, own arrays": ("batches of 32", "batches of 256"),
}


@dataclass(frozen=True)
class Plan:
    """What was asked for: where to work, what to measure, how often, and whether at full size."""

    home: Path
    systems: Sequence[str]
    workloads: Sequence[str]
    rounds: int
    quick: bool

    def rows(self) -> Iterator[Row]:
        """Do everything, and yield the figures as they come."""
        for number in range(self.rounds):
            for workload in self.workloads:
                yield from self._round(number, workload)
        if "a" in self.workloads and "atdata" in self.systems:
            yield from self._growth()
        if "atdata" in self.systems:
            yield from self._index()
            yield from imports.measure(self.home)

    def count(self, workload: str) -> int:
        """Return how many samples a workload has."""
        own = WORKLOADS[workload].count
        fewer = _QUICK_IMAGES if workload == "b" else _QUICK
        return own // fewer if self.quick else own

    @property
    def large_index(self) -> int:
        """How many datasets are in the larger index."""
        return LARGE_INDEX // (_QUICK if self.quick else 1)

    def _round(self, number: int, workload: str) -> Iterator[Row]:
        shutil.rmtree(self.home / workload, ignore_errors=True)
        # All rounds deliver alike, so one that is checked will do.
        digest = None if number else self._digest(workload)
        for act in ("write", "read"):
            for system in self._order(number):
                if measures := _measures(act, system, workload):
                    yield from self._run(self._task(act, system, workload, measures, digest))
                    # Data still on its way to the disk would slow down whoever comes next.
                    os.sync()

    def _order(self, number: int) -> list[str]:
        peers = [name for name in self.systems if name not in GUESTS]
        guests = [name for name in self.systems if name in GUESTS]
        # Whoever comes first in one round comes last in the next.
        start = number % max(1, len(peers))
        return [*peers[start:], *peers[:start], *guests]

    def _task(
        self,
        act: str,
        system: str,
        workload: str,
        measures: tuple[str, ...],
        digest: tuple[int, int] | None,
    ) -> Task:
        folder = "guest" if system in READERS else system.replace(" ", "-")
        own = WORKLOADS[workload]
        count = self.count(workload)
        return Task(
            act=act,
            system=system,
            workload=workload,
            count=count,
            per_shard=own.per_shard * count // own.count,
            folder=str(self.home / workload / folder),
            measures=measures,
            digest=None if system == "limit" else digest,
        )

    def _digest(self, workload: str) -> tuple[int, int]:
        own = WORKLOADS[workload]
        samples = own.samples(self.count(workload))
        return own.digest(tuple(sample.values()) for sample in samples)

    def _growth(self) -> Iterator[Row]:
        count = self.count("a")
        cases = {name: (count * times, count // 10) for name, times in TIMES.items()}
        cases |= {name: (count, count // shards) for name, shards in SHARDS.items()}
        for name, (samples, per_shard) in cases.items():
            self._grown(name, self._growth_task("write", name, samples, per_shard, WRITES))
        os.sync()
        for _ in range(self.rounds):
            for name, (samples, per_shard) in cases.items():
                for measure in GROWN:
                    task = self._growth_task("read", name, samples, per_shard, (measure,))
                    yield from self._grown(name, task)
        shutil.rmtree(self.home / "growth")

    def _growth_task(
        self, act: str, name: str, count: int, per_shard: int, measures: tuple[str, ...]
    ) -> Task:
        folder = str(self.home / "growth" / name.replace(" ", "-"))
        return Task(act, "atdata", "a", count, per_shard, folder, measures, mean=True)

    def _grown(self, name: str, task: Task) -> list[Row]:
        return [replace(row, workload=name) for row in self._run(task)]

    def _index(self) -> Iterator[Row]:
        for number in range(self.rounds):
            for provider in index.PROVIDERS:
                folder = str(self.home / f"index-{number}-{provider}")
                yield from self._run(
                    Task("index", provider, "index", self.large_index, 0, folder, ("index",))
                )
            for place in ("s3", "blobs"):
                folder = str(self.home / f"{place}-{number}")
                yield from self._run(Task(place, "atdata", place, 0, 0, folder, (s3.MEASURE,)))

    def _run(self, task: Task) -> list[Row]:
        print(f"{task.act} {task.workload} {task.count:,}: {task.system}", file=sys.stderr)
        return run(task, self.home)


def _measures(act: str, system: str, workload: str) -> tuple[str, ...]:
    if system in READERS and workload != "a":
        return ()
    if act == "write":
        return () if system in READERS else WRITES
    return _GUEST_READS.get(system, READS)
