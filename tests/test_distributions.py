"""The distributions fit together: one version, matching pins, nothing of one machine."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in ROOT.glob("atdata-*/pyproject.toml"))]
NOT_OURS = re.compile(
    r"(?<![\w.}/-])/(?:root|home|Users|opt)/\w"  # a path of one machine
    r"|--(?:extra-)?index-url|--find-links|/simple/"  # the address of a registry
)
INSTALL = re.compile(r"^(?:\| `)?python -m pip install (?!nox\b)([^`\n]+)", re.MULTILINE)
TEXT = {".py", ".md", ".toml", ".txt", ".yml"}
TEXT_WITHOUT_SUFFIX = {".gitignore", "LICENSE", "run"}


def project_of(directory: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((directory / "pyproject.toml").read_text())["project"]
    return project


def requirements_of(project: dict[str, Any]) -> list[str]:
    optional = project.get("optional-dependencies", {})
    return [
        *project.get("dependencies", []),
        *(line for extra in optional.values() for line in extra),
    ]


def project_files() -> list[Path]:
    rooms = ["atdata-*", "tests", "docs", "benchmarks", ".ci"]
    nested = [path for room in rooms for top in ROOT.glob(room) for path in top.rglob("*")]
    files = [path for path in (*ROOT.iterdir(), *nested) if path.is_file()]
    text = [path for path in files if path.suffix in TEXT or path.name in TEXT_WITHOUT_SUFFIX]
    return [path for path in text if path != Path(__file__)]


each_distribution = pytest.mark.parametrize(
    "directory", DISTRIBUTIONS, ids=lambda path: project_of(path)["name"]
)


def test_all_distributions_carry_one_version() -> None:
    assert {project_of(directory)["version"] for directory in DISTRIBUTIONS} == {version("atdata")}


@each_distribution
def test_each_distribution_pins_its_siblings_to_its_own_minor_version(directory: Path) -> None:
    project = project_of(directory)
    minor = project["version"].rsplit(".", 1)[0]
    siblings = [line for line in requirements_of(project) if line.startswith("atdata-")]
    assert [line for line in siblings if not line.endswith(f"~= {minor}.0")] == []


@each_distribution
def test_each_distribution_carries_the_same_license(directory: Path) -> None:
    assert (directory / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@each_distribution
def test_each_import_package_says_that_it_is_typed(directory: Path) -> None:
    packages = [path.parent for path in directory.glob("src/*/__init__.py")]
    assert [package for package in packages if not (package / "py.typed").exists()] == []


def test_every_entry_point_of_ours_can_be_imported() -> None:
    ours = {"core", *(path.name.removeprefix("atdata-") for path in DISTRIBUTIONS[1:])}
    found = {
        point.name: point.load() for point in entry_points(group="atdata") if point.name in ours
    }
    assert found.keys() == ours


def test_every_constraint_is_a_pin_without_an_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.]+", pin)] == []


def test_every_tool_of_a_session_is_pinned() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    tools = {re.split(r"[\[=]", line)[0] for group in groups.values() for line in group}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert tools - pinned == {"torch"}, "torch is pinned where it is asked for"


def test_no_file_names_a_path_of_one_machine_or_a_registry() -> None:
    found = [path for path in project_files() if NOT_OURS.search(path.read_text())]
    assert found == []


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_readme_gives_the_command_that_ci_runs(session: str) -> None:
    command = f"python -m pip install nox && python -m nox -s {session}"
    assert command in (line.strip() for line in (ROOT / "README.md").read_text().splitlines())


def install_commands() -> list[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [INSTALL.findall(page.read_text(encoding="utf-8")) for page in pages]
    return sorted({words for page in found for words in page})


each_command = pytest.mark.parametrize("words", install_commands())


def projects_named(word: str) -> list[tuple[dict[str, Any], set[str]]]:
    """Read a folder, or a pattern of folders, with the extras in brackets after it."""
    folder, _, extras = word.rstrip("]").partition("[")
    directories = [ROOT] if folder == "." else [*ROOT.glob(folder)]
    return [
        (project_of(directory), {*filter(None, extras.split(","))}) for directory in directories
    ]


def test_the_pages_say_how_to_install() -> None:
    assert len(install_commands()) > 10


@each_command
def test_a_command_that_installs_names_folders_and_extras_that_exist(words: str) -> None:
    for word in shlex.split(words):
        assert word == "." or word.startswith(("./", ".[")), "it could come from the index"
        found = projects_named(word)
        assert found, f"there is no {word}"
        for project, extras in found:
            assert extras <= project.get("optional-dependencies", {}).keys()


@each_command
def test_a_command_that_installs_names_all_of_ours_that_are_required(words: str) -> None:
    chosen = [one for word in shlex.split(words) for one in projects_named(word)]
    required = [
        Requirement(line)
        for project, extras in chosen
        for line in [
            *project["dependencies"],
            *(line for extra in extras for line in project["optional-dependencies"][extra]),
        ]
    ]
    ours = {one.name for one in required if one.name.startswith("atdata")}
    assert ours <= {project["name"] for project, _ in chosen}
