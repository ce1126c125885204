"""``python -m benchmarks``: measure, print the tables, and write them where they are shown."""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.plan import Plan
from benchmarks.report import aligned, rates, report
from benchmarks.rows import Rows
from benchmarks.systems import MODULES
from benchmarks.workloads import WORKLOADS

_RESULTS = Path(__file__).with_name("results.md")
_DOCUMENT = Path(__file__).parents[1] / "docs" / "reading.md"
_SHOWN = re.compile(r"(<!-- Made by nox -s bench. -->\n).*(<!-- Until here. -->\n)", re.DOTALL)


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=asked.data))
    try:
        plan = Plan(home, asked.systems, asked.workloads, asked.rounds, asked.quick)
        rows = Rows(plan.rows(), by_cpu=asked.cpu)
    finally:
        if asked.data is None:
            shutil.rmtree(home)
    page = report(rows, plan)
    print(aligned(page))
    # Figures of a part, or of toy sizes, are nothing to keep.
    everything = asked.systems == [*MODULES] and asked.workloads == [*WORKLOADS]
    if everything and not asked.quick and not asked.cpu:
        _RESULTS.write_text(page)
        shown = f"\n{rates(rows, plan)}\n"
        _DOCUMENT.write_text(_SHOWN.sub(rf"\g<1>{shown}\g<2>", _DOCUMENT.read_text()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workloads", type=_listed(WORKLOADS), default=[*WORKLOADS])
    parser.add_argument("--systems", type=_listed(MODULES), default=[*MODULES])
    parser.add_argument("--quick", action="store_true", help="a fraction of the samples")
    parser.add_argument("--cpu", action="store_true", help="rates by CPU time, on a busy machine")
    parser.add_argument("--data", help="keep the data in a new folder in this one")
    return parser.parse_args()


def _listed(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        given = [name.strip() for name in text.split(",")]
        if unknown := set(given) - set(known):
            raise argparse.ArgumentTypeError(f"no {unknown.pop()!r}; there are {', '.join(known)}")
        return [name for name in known if name in given]

    return names


if __name__ == "__main__":
    main()
