"""``atdata plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import typer

from atdata import plugins
from atdata.cli.extensions import load_commands
from atdata.cli.output import AsJson, complain, print_json, print_line, print_table
from atdata.plugins import Finding, Registration

app = typer.Typer(help="List and check backends and other plugins.", rich_markup_mode=None)


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List what core and plugins offer."""
    kinds = get_args(plugins.Kind)
    rows = [_registration_row(one) for kind in kinds for one in plugins.names(kind)]
    print_json(rows) if as_json else print_table(rows)


@app.command("doctor")
def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check all plugins and what they offer; exit code 1 if anything is wrong."""
    command_problems = _load_commands(context.find_root().command)
    findings = plugins.diagnose()
    bad = [finding for finding in findings if finding.problem]
    if as_json:
        rows = [{**_finding_row(one), "traceback": one.traceback} for one in findings]
        ok = not bad and not command_problems
        print_json({"ok": ok, "findings": rows, "command_problems": command_problems})
    else:
        _print_findings(findings)
    for problem in command_problems:
        complain(problem)
    if bad:
        complain(f"{len(bad)} of {len(findings)} checks of plugins found a problem")
    if bad or command_problems:
        raise typer.Exit(1)


def _load_commands(root: Any) -> list[str]:
    with warnings.catch_warnings():
        # It is among the findings.
        warnings.simplefilter("ignore", plugins.PluginWarning)
        return load_commands(root.commands)[1]


def _registration_row(one: Registration) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "target": one.import_string,
        "distribution": str(one.plugin),
    }


def _finding_row(one: Finding) -> dict[str, Any]:
    return {
        "entry_point": one.plugin.entry_point,
        "distribution": str(one.plugin),
        "subject": one.subject,
        "problem": one.problem,
    }


def _print_findings(findings: list[Finding]) -> None:
    rows = [_finding_row(one) for one in findings]
    print_table([{**row, "problem": row["problem"] or "ok"} for row in rows])
    for finding in findings:
        if finding.traceback:
            print_line()
            for line in finding.traceback.splitlines():
                print_line(line)
