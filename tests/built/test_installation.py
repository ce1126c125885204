"""The wheels in ``dist/``, installed where there is nothing else, and used without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WHEELS = sorted((ROOT / "dist").glob("*.whl"))
PAGES = ["README.md", "docs/quickstart.md", "docs/local-workflow.md"]
# What runs the blocks of a page.
RUNNER = ["tests/documents/blocks.py", "tests/documents/run_page.py"]
OF_THE_CHECKOUT = ("ATDATA_", "COVERAGE_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def environment(**changes: str) -> dict[str, str]:
    """Give the environment variables of somebody who has no checkout."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(OF_THE_CHECKOUT)}
    return {**kept, **changes}


def output_of(folder: Path, program: Path, *words: str, **variables: str) -> str:
    done = subprocess.run(
        [program, *words],
        cwd=folder,
        env=environment(HOME=str(folder), TERM="dumb", COLUMNS="100", **variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheels into an empty environment, and give the folder of its programs."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    programs = place / "bin"
    # Ours are named as files, so that none can be another release's from the registry.
    wheels = [str(wheel) for wheel in WHEELS]
    command = [str(programs / "python"), "-m", "pip", "install", "--quiet", *wheels]
    subprocess.run(command, cwd=place, env=environment(), check=True)
    return programs


def test_every_distribution_of_ours_came_from_a_wheel_here(programs: Path, tmp_path: Path) -> None:
    report = output_of(tmp_path, programs / "python", "-m", "pip", "inspect")
    installed: list[dict[str, Any]] = json.loads(report)["installed"]
    ours = [one for one in installed if one["metadata"]["name"].startswith("atdata")]
    assert sorted(one["direct_url"]["url"] for one in ours) == [one.as_uri() for one in WHEELS]


def test_no_module_comes_from_the_checkout(programs: Path, tmp_path: Path) -> None:
    code = "import atdata, atdata_sqlite; print(atdata.__file__); print(atdata_sqlite.__file__)"
    files = output_of(tmp_path, programs / "python", "-c", code).splitlines()
    assert [file for file in files if not Path(file).is_relative_to(programs.parent)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_without_the_checkout(page: str, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "tests/documents").mkdir(parents=True)
    for file in RUNNER:
        shutil.copy(ROOT / file, tmp_path / file)
    name = Path(shutil.copy(ROOT / page, tmp_path)).name
    runner = ["-m", "tests.documents.run_page", name]
    output_of(tmp_path, programs / "python", *runner, PYTHONWARNINGS="error")


def test_the_command_finds_nothing_wrong(programs: Path, tmp_path: Path) -> None:
    output_of(tmp_path, programs / "atdata", "plugins", "doctor")
