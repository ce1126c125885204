"""What is done in a process of its own: ``python -m benchmarks.tasks task.json rows.json``."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks import blobs, index, s3
from benchmarks.measure import Timing, memory, size_of, sync, timed, timed_often
from benchmarks.rows import Row, dump
from benchmarks.systems import Reader, System, load
from benchmarks.workloads import WORKLOADS, Workload

ORDERED = {"single": None, "batches of 32": 32, "batches of 256": 256}
SHUFFLED = ("shuffled single", "shuffled batches")
READS = ("first sample", *ORDERED, *SHUFFLED)
WRITES = ("write", "write, on disk")


@dataclass(frozen=True)
class Task:
    """Measures of one system on one workload; ``digest`` is what its samples must come to.

    With ``mean``, short passes are averaged, as a long one averages its parts; else the median of
    the passes counts.
    """

    act: str
    system: str
    workload: str
    count: int
    per_shard: int
    folder: str
    measures: tuple[str, ...]
    digest: tuple[int, int] | None = None
    mean: bool = False


def main(task_file: str, rows_file: str) -> None:
    """Do a task and leave its rows; what fails becomes a row that says so."""
    task = Task(**json.loads(Path(task_file).read_text()))
    dump(list(_rows(task)), Path(rows_file))


def _rows(task: Task) -> Iterator[Row]:
    if task.act in ("index", "s3", "blobs"):
        yield from _tried(task, task.measures, lambda: _serve(task))
        return
    try:
        system = load(task.system)
    except ImportError as error:
        missing = f"not installed ({error.name})"
        yield from (_row(task, measure, error=missing) for measure in task.measures)
        return
    act = _write if task.act == "write" else _read
    yield from act(task, system, _workload(task))


def _serve(task: Task) -> Iterator[Row]:
    if task.act == "s3":
        return s3.measure(Path(task.folder))
    if task.act == "blobs":
        return blobs.measure(Path(task.folder))
    return index.measure(task.system, Path(task.folder), task.count)


def _workload(task: Task) -> Workload:
    return replace(WORKLOADS[task.workload], count=task.count, per_shard=task.per_shard)


def _write(task: Task, system: System, workload: Workload) -> Iterator[Row]:
    folder = Path(task.folder)

    def act() -> Iterable[Row]:
        samples = system.prepare(folder, workload, workload.samples(task.count))
        base = memory("VmRSS")
        folder.mkdir(parents=True, exist_ok=True)
        written = timed(lambda: system.write(folder, workload, samples))
        synced = timed(lambda: sync(folder))
        system.finish(folder)
        size = size_of(folder)
        both = Timing(written.seconds + synced.seconds, written.cpu + synced.cpu, written.peak)
        yield _row(task, "write", written, base=base, size=size)
        yield _row(task, "write, on disk", both, base=base, size=size)

    yield from _tried(task, task.measures, act)


def _read(task: Task, system: System, workload: Workload) -> Iterator[Row]:
    base = memory("VmRSS")
    for measure in task.measures:

        def act(measure: str = measure) -> Iterable[Row]:
            timing = _time_reading(task, system, workload, measure)
            yield _row(task, measure, timing, base=base)

        yield from _tried(task, [measure], act)


def _time_reading(task: Task, system: System, workload: Workload, measure: str) -> Timing:
    folder = Path(task.folder)
    if measure == "first sample":
        return timed(lambda: _first(system.ordered(folder, workload, None)))
    reader = _open(system, folder, workload, measure)
    # What is set up once, imports among it, belongs to the first sample.
    _first(reader)
    timing = timed_often(lambda: _drain(reader), fmean if task.mean else median)
    if task.digest is not None:
        _check(reader, workload, task.digest, batches="batches" in measure)
    return timing


def _open(system: System, folder: Path, workload: Workload, measure: str) -> Reader:
    if measure in ORDERED:
        return system.ordered(folder, workload, ORDERED[measure])
    batch = workload.shuffled_batch if measure == "shuffled batches" else None
    return system.shuffled(folder, workload, batch)


def _first(reader: Reader) -> None:
    reader.fields(next(iter(reader.items)))


def _drain(reader: Reader) -> None:
    fields = reader.fields
    for item in reader.items:
        fields(item)


def _check(reader: Reader, workload: Workload, digest: tuple[int, int], *, batches: bool) -> None:
    taken = map(reader.fields, reader.items)
    samples: Iterator[tuple[Any, ...]] = (
        (sample for columns in taken for sample in zip(*columns, strict=True)) if batches else taken
    )
    found = workload.digest(samples)
    if found != tuple(digest):
        raise ValueError(f"delivered other samples: {found} in place of {tuple(digest)}")


def _tried(task: Task, measures: Iterable[str], act: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    try:
        yield from list(act())
    except Exception as error:  # noqa: BLE001 -- whatever a peer does, the others are measured
        traceback.print_exc()
        # Its text may name files of this machine.
        said = str(error) if isinstance(error, ValueError) else ""
        told = said if said.startswith("delivered") else f"failed ({type(error).__name__})"
        yield from (_row(task, measure, error=told) for measure in measures)


def _row(task: Task, measure: str, timing: Timing | None = None, **more: Any) -> Row:
    figures = {} if timing is None else timing._asdict()
    count = 1 if measure == "first sample" else task.count
    return Row(task.system, task.workload, measure, count, **figures, **more)


if __name__ == "__main__":
    main(*sys.argv[1:])
