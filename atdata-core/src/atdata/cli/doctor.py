"""``atdata doctor``: what a report of a fault needs, and what is wrong with the installation."""

from __future__ import annotations

from typing import Any

import typer

from atdata.cli.indexes import Store
from atdata.cli.output import AsJson, complain, print_facts, print_json, print_line, print_table


def doctor(context: typer.Context, store: Store = None, as_json: AsJson = False) -> None:
    """Show versions, plugins, index and store, and check them; exit code 1 if anything is wrong."""
    # 40 ms, and no other command needs it.
    from atdata.cli.examination import examine

    root: Any = context.find_root()
    report = examine(root.command.commands, root.obj, store)
    print_json(report) if as_json else _print(report)
    if problems := report["problems"]:
        complain(f"problems found: {len(problems)}")
        raise typer.Exit(1)


def _print(report: dict[str, Any]) -> None:
    places = {name: one for name, one in report.items() if type(one) in {str, int}}
    facts = {**report["distributions"], **places, "variables": ", ".join(report["variables"])}
    print_facts({**facts, **report["dependencies"]})
    print_line()
    tracebacks = [one.pop("traceback") for one in report["findings"]]
    print_table([{**one, "problem": one["problem"] or "ok"} for one in report["findings"]])
    for line in "\n".join(filter(None, tracebacks)).splitlines():
        print_line(line)
    if report["problems"]:
        print_line()
        print_table(report["problems"])
