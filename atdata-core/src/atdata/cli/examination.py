"""All that ``atdata doctor`` finds out, and all that is wrong, each with its remedy."""

from __future__ import annotations

import os
import re
import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

from atdata import plugins
from atdata.cli.extensions import load_commands
from atdata.cli.installed import Problem, describe_system, look_at_installation
from atdata.cli.places import look_at_places
from atdata.cli.secrets import Hiding
from atdata.plugins.installed import Finding

_SETTINGS = re.compile("ATDATA_|AWS_|FSSPEC_|PG|(?:RANK|WORLD_SIZE|LOCAL_RANK)$")


def examine(commands: Any, index: str | None, store: str | None) -> dict[str, Any]:
    """Look at everything, and return it without secrets; never fails, whatever plugins do."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        # It is among the findings.
        warnings.simplefilter("ignore", plugins.PluginWarning)
        command_problems = load_commands(commands)[1]
        findings = plugins.diagnose()
        installed, places = look_at_installation(), look_at_places(index, store)
    problems = [
        *installed.problems,
        *(_plugin_problem(finding) for finding in findings if finding.problem),
        *map(_command_problem, command_problems),
        *places.problems,
    ]
    report = {
        "ok": not problems,
        "distributions": installed.ours,
        "dependencies": installed.others,
        **describe_system(),
        **places.facts,
        # Their values may be secret.
        "variables": sorted(name for name in os.environ if _SETTINGS.match(name)),
        "findings": [{**_finding_row(one), "traceback": one.traceback} for one in findings],
        "command_problems": command_problems,
        "problems": [problem._asdict() for problem in problems],
    }
    hidden: dict[str, Any] = Hiding([index or "", store or ""])(report)
    return hidden


def _plugin_problem(finding: Finding) -> Problem:
    plugin = finding.plugin
    remedy = f"install {plugin.distribution} again, or remove it"
    return Problem(f"{plugin}, {finding.subject}", finding.problem, remedy)


def _command_problem(problem: str) -> Problem:
    remedy = "remove one of the plugins that have it, or ask its authors for another name"
    return Problem("commands", problem, remedy)


def _finding_row(one: Finding) -> dict[str, Any]:
    return {
        "entry_point": one.plugin.entry_point,
        "distribution": str(one.plugin),
        "subject": one.subject,
        "problem": one.problem,
    }
