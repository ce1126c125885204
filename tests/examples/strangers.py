"""Projects as their users get them: built, installed without a network, and tested where they lie.

What they require is there already: the environment that runs these tests has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "atdata-fsspec"
TEMPLATE = ROOT / "templates" / "atdata-plugin"


@dataclass(frozen=True)
class Installed:
    """A project with its tests, and the folder its distribution is installed in."""

    project: Path
    site: Path

    def test(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the project's own tests on what is installed."""
        return self._run("pytest", "-q", "-p", "no:cacheprovider", *options)

    def diagnose(self, plugin: str) -> dict[str, dict[str, Any]]:
        """Return what the doctor finds about a plugin, by subject."""
        # The backends around it take longer to import than all else does.
        only = {"ATDATA_PLUGINS": plugin}
        done = self._run("atdata.cli", "plugins", "doctor", "--json", **only)
        findings = json.loads(done.stdout)["findings"]
        return {one["subject"]: one for one in findings if one["entry_point"] == plugin}

    def edit(self, name: str, old: str, new: str) -> None:
        """Change an installed file, which must hold what is replaced."""
        (file,) = self.site.glob(name)
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def copy(self, folder: Path) -> Installed:
        """Return the same installed once more, to be broken."""
        return Installed(self.project, Path(shutil.copytree(self.site, folder / "site")))

    def _run(
        self, module: str, *options: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.site), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", module, *options],
            cwd=self.project,
            env={**os.environ, **environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


def install(project: Path, folder: Path) -> Installed:
    """Build a copy of a project, and install what was built in a folder of its own."""
    copy = folder / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    site = folder / "installed"
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # The tests must find what is installed, and nothing else.
    shutil.rmtree(copy / "src")
    return Installed(copy, site)


def render(folder: Path, **answers: str) -> Path:
    """Render the template, as its README says, and return the project."""
    home = folder / "home"
    home.mkdir()
    given = [f"{name}={answer}" for name, answer in answers.items()]
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(folder)]
    subprocess.run(
        [*command, str(TEMPLATE), *given],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    (project,) = folder.glob("atdata-*")
    return project
