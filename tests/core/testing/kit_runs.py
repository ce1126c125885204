"""Running kits on what is broken, in a pytest of their own, to see which tests tell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[3]


def failures(folder: Path, module: str, chosen: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the tests that fail by class, of those chosen by class; none chosen is all."""
    file = folder / "test_broken.py"
    file.write_text(dedent(module), encoding="utf-8")
    classes = {f"{file}::Test{kind}": tests for kind, tests in chosen.items()}
    ids = [f"{kind}::{test}" for kind, tests in classes.items() for test in tests]
    ids += [kind for kind, tests in classes.items() if not tests]
    path = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    options = ["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    # That a test fails is enough; how values differ takes long to explain.
    options.append("--assert=plain")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *ids],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found: dict[str, set[str]] = {}
    for kind, test in re.findall(r"^FAILED \S+?::Test(\w+)::(\w+)", done.stdout, re.MULTILINE):
        found.setdefault(kind, set()).add(test)
    return found
