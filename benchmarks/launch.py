"""Starting a process for each task, so that none inherits another's memory, imports or threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.rows import Row, load
from benchmarks.tasks import Task

_ROOT = Path(__file__).parents[1]
_LONGEST = 1800
# Nobody asks the network for anything, nor writes outside of the data folder.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "LITDATA_DISABLE_VERSION_CHECK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run(task: Task, home: Path) -> list[Row]:
    """Do a task in a new process and return its rows; what it prints is shown if it fails."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        given, found = Path(folder, "task.json"), Path(folder, "rows.json")
        given.write_text(json.dumps(asdict(task)))
        command = [sys.executable, "-m", "benchmarks.tasks", str(given), str(found)]
        try:
            done = subprocess.run(
                command,
                cwd=_ROOT,
                env=environment(home),
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _failed(task, f"took more than {_LONGEST} s")
        rows = load(found) if found.exists() else _failed(task, f"ended with {done.returncode}")
    if any(row.error and "installed" not in row.error for row in rows):
        print(done.stderr[-3000:], file=sys.stderr)
    return rows


def environment(home: Path) -> dict[str, str]:
    """Return the variables for a process: those of this one, offline, bytecode caches allowed."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**own, **_OFFLINE, "HF_HOME": str(home / "huggingface")}


def _failed(task: Task, why: str) -> list[Row]:
    return [Row(task.system, task.workload, measure, error=why) for measure in task.measures]
