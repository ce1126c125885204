"""The template renders the example, and under any other name a project as sound."""

from __future__ import annotations

import tomllib
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from tests.examples.strangers import EXAMPLE, install, render

# What substitution of a name could break; that the example passes all says the rest.
FEW = "put_is_opened or written_and_read_back or another_process or again_and_again or password"


def files_of(project: Path) -> dict[str, str]:
    files = (path for path in project.rglob("*") if path.is_file())
    texts = {path.relative_to(project).as_posix(): path for path in files}
    return {name: texts[name].read_text("utf-8") for name in texts if "__pycache__" not in name}


def test_with_the_default_answers_it_is_the_example(tmp_path: Path) -> None:
    assert files_of(render(tmp_path)) == files_of(EXAMPLE)


@pytest.mark.parametrize("name", ["My Lake", "my_lake", "1lake", "../lake", 'la"ke', "lake-"])
def test_a_name_that_is_no_scheme_makes_no_project(tmp_path: Path, name: str) -> None:
    with pytest.raises(CalledProcessError):
        render(tmp_path, name=name)
    assert [path for path in tmp_path.rglob("*") if "lake" in path.name.lower()] == []


def test_a_description_may_hold_quotes(tmp_path: Path) -> None:
    described = 'Shards in "lakes" \\ ponds'
    project = render(tmp_path, name="lake", description=described)
    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert table["project"]["description"] == described


@pytest.mark.parametrize("chosen", [FEW, pytest.param("", marks=pytest.mark.slow)])
def test_a_project_of_another_name_passes_its_kits(tmp_path: Path, chosen: str) -> None:
    project = render(tmp_path, name="my-lake", description="Shards in a lake")
    installed = install(project, tmp_path / "stranger")
    report = installed.diagnose("my-lake")
    assert "data store 'my-lake'" in report
    assert not any(row["problem"] for row in report.values())
    done = installed.test("-k", chosen)
    assert done.returncode == 0, done.stdout + done.stderr
