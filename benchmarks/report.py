"""The tables, in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from benchmarks import blobs, imports, index, s3
from benchmarks.plan import GROWN, SHARDS, TIMES, Plan
from benchmarks.rows import Rows
from benchmarks.systems import GUESTS, READERS
from benchmarks.targets import verdicts
from benchmarks.tasks import ORDERED, SHUFFLED, WRITES
from benchmarks.workloads import WORKLOADS

_RATES = (*ORDERED, *SHUFFLED)
_DISTRIBUTIONS = (
    *("numpy", "torch", "webdataset", "litdata"),
    *("mosaicml-streaming", "datasets", "pylance"),
)
_TITLES = {"foreign": "atdata, webdataset's shards"}
_INTRODUCTION = """# Benchmarks

`nox -s bench` made this page. Medians of {rounds} {rounds_noun} on {cores} cores, Python {python},
files in the page cache, one process a system, workload and round. {versions}.
{quick}
Samples a second; in brackets how many times as fast atdata is. Every sample delivered was compared
with the one written. *Shuffled batches* are of {batches}. *First sample* is the time from opening
to having it, imports done. *write* is the time until the call returns, which for atdata means that
the shards are on the disk; *write, on disk* adds for the others the time to get them there.
*CPU* is the processor time a sample in batches of 256, of all threads. Memory is the peak of the
process, of which *imports* is what importing alone takes; files that are memory-mapped count as far
as they were touched. Arrays are writable and the caller's own, but for those of Lance, which
are views of its own memory (the row below it copies them), and the single ones of MosaicML
streaming. *limit* reads and writes atdata's shards as bytes, with
`readinto` into one buffer of 4 MiB.
"""

Table = Iterator[str]


def report(rows: Rows, plan: Plan) -> str:
    """Return the whole page."""
    parts: list[Iterable[str]] = [[_introduction(plan)]]
    for name in plan.workloads:
        parts += [
            [f"## ({name}) {WORKLOADS[name].title}", ""],
            _rates(rows, plan, name),
            _costs(rows, plan, name),
        ]
    parts += [["## Growth", ""], _growth(rows), ["## The index", ""], _index(rows, plan)]
    parts += [["## S3 and blobs", ""], _remote(rows)]
    parts += [["## Import, beyond numpy", ""], _imports(rows), ["## Targets", ""], _targets(rows)]
    return "\n".join(line for part in parts for line in part)


def rates(rows: Rows, plan: Plan) -> str:
    """Return the tables of samples a second alone."""
    parts: list[Iterable[str]] = []
    for name in plan.workloads:
        parts += [[f"({name}) {WORKLOADS[name].title}:", ""], _rates(rows, plan, name)]
    return "\n".join(line for part in parts for line in part)


def _introduction(plan: Plan) -> str:
    return _INTRODUCTION.format(
        rounds=plan.rounds,
        rounds_noun="round" if plan.rounds == 1 else "rounds",
        cores=os.cpu_count(),
        python=platform.python_version(),
        versions=", ".join(_versions()),
        quick="\n**With a fraction of the samples, so nothing here means much.**\n" * plan.quick,
        batches=" or ".join(
            f"{WORKLOADS[name].shuffled_batch} ({name})" for name in plan.workloads
        ),
    )


def _versions() -> Iterator[str]:
    for name in _DISTRIBUTIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _rates(rows: Rows, plan: Plan, workload: str) -> Table:
    measures = (*_RATES, *WRITES)
    yield from _head("", *measures)
    for system in _shown(plan, workload):
        rates = (_rate(rows, system, workload, measure) for measure in measures)
        yield _line(_TITLES.get(system, system), *rates)
    yield ""


def _rate(rows: Rows, system: str, workload: str, measure: str) -> str:
    rate = rows.rate(system, workload, measure)
    if rate is None:
        return rows.error(system, workload, measure) or ""
    ours = rows.rate("atdata", workload, measure)
    ratio = "" if ours is None or system == "atdata" else f" ({_short(ours / rate)}x)"
    return f"{_short(rate)}{ratio}"


def _costs(rows: Rows, plan: Plan, workload: str) -> Table:
    yield from _head(
        *("", "first sample, ms", "CPU, µs", "files, MB", "imports, MiB"),
        *("peak, batches of 256, MiB", "peak, shuffled batches, MiB"),
    )
    for system in _shown(plan, workload):
        if system in GUESTS:
            continue
        figures = (
            (rows.median(system, workload, "first sample", "seconds"), 1e3),
            (rows.median(system, workload, "batches of 256", "cpu_each"), 1e6),
            (rows.median(system, workload, "write", "size"), 1e-6),
            (rows.median(system, workload, "batches of 256", "base"), 1 / 1024),
            (rows.median(system, workload, "batches of 256", "peak"), 1 / 1024),
            (rows.median(system, workload, "shuffled batches", "peak"), 1 / 1024),
        )
        yield _line(system, *(_scaled(value, scale) for value, scale in figures))
    yield ""


def _shown(plan: Plan, workload: str) -> list[str]:
    return [name for name in plan.systems if name not in READERS or workload == "a"]


def _growth(rows: Rows) -> Table:
    yield from _head("", *(f"{name}, {unit}" for name in GROWN for unit in ("µs", "peak MiB")))
    for case in (*TIMES, *SHARDS):
        figures = (
            (rows.median("atdata", case, name, figure), scale)
            for name in GROWN
            for figure, scale in (("each", 1e6), ("peak", 1 / 1024))
        )
        yield _line(case, *(_scaled(value, scale) for value, scale in figures))
    yield ""


def _index(rows: Rows, plan: Plan) -> Table:
    cases = [(name, size) for name in index.PROVIDERS for size in (index.SMALL, plan.large_index)]
    yield from _head("milliseconds", *(f"{name}, {size:,} datasets" for name, size in cases))
    for operation in index.OPERATIONS:
        found = (rows.median(name, f"index of {size:,}", operation, "each") for name, size in cases)
        yield _line(operation, *(_scaled(each, 1e3) for each in found))
    yield ""


def _remote(rows: Rows) -> Table:
    yield from _head("servers on this machine", "MB a second")
    for place, module in (("Ceph", s3), ("PDS", blobs)):
        for system in (module.OURS, module.PLAIN):
            rate = rows.rate(system, module.__name__.rpartition(".")[2], s3.MEASURE)
            yield _line(f"{place}, {system}", _scaled(rate, 1))
    yield ""


def _imports(rows: Rows) -> Table:
    yield from _head("", "milliseconds")
    for module in imports.MODULES:
        seconds = rows.median(module, "import", "import", "seconds")
        yield _line(module, _scaled(seconds, 1e3))
    yield ""


def _targets(rows: Rows) -> Table:
    yield from _head("", "required", "measured", "")
    for what, required, measured, met in verdicts(rows):
        said = {True: "met", False: "**not met**", None: "not measured"}[met]
        yield _line(what, required, _scaled(measured, 1), said)
    yield ""


def _head(*titles: str) -> Iterator[str]:
    yield _line(*titles)
    yield _line("---", *["---:"] * (len(titles) - 1))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _scaled(value: float | None, scale: float) -> str:
    return "" if value is None else _short(value * scale)


def _short(value: float) -> str:
    """Write a number with three digits that count, thousands with k and millions with M."""
    for limit, divisor, unit in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= limit:
            return f"{_three(value / divisor)}{unit}"
    return _three(value)


def _three(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def aligned(page: str) -> str:
    """Return the page with the columns of its tables aligned, for a terminal."""
    lines = page.split("\n")
    done: list[str] = []
    while lines:
        table = _table_ahead(lines)
        done += _align(table) if table else lines[:1]
        del lines[: len(table) or 1]
    return "\n".join(done)


def _table_ahead(lines: Sequence[str]) -> list[str]:
    size = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return list(lines[:size])


def _align(table: list[str]) -> list[str]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_columns(row, widths) for row in cells if not row[0].startswith("---")]


def _columns(row: list[str], widths: list[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])
