"""The archives in ``dist/``, which ``nox -s build`` makes: what is in them, and what they say."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("atdata-*/pyproject.toml"))]


def project_of(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def stem_of(folder: Path) -> str:
    project = project_of(folder)
    return f"{project['name'].replace('-', '_')}-{project['version']}"


def wheel_of(folder: Path) -> Path:
    return DIST / f"{stem_of(folder)}-py3-none-any.whl"


def sdist_of(folder: Path) -> Path:
    return DIST / f"{stem_of(folder)}.tar.gz"


def contents_of(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def distribution_of(folder: Path) -> PathDistribution:
    return PathDistribution(zipfile.Path(wheel_of(folder), f"{stem_of(folder)}.dist-info/"))


def sources_of(folder: Path) -> dict[str, bytes]:
    source = folder / "src"
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in files}


def entry_points_of(project: dict[str, Any]) -> set[EntryPoint]:
    groups = {**project.get("entry-points", {}), "console_scripts": project.get("scripts", {})}
    return {
        EntryPoint(name, value, group)
        for group, points in groups.items()
        for name, value in points.items()
    }


each_distribution = pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: project_of(folder)["name"]
)


def test_there_is_a_wheel_and_an_sdist_of_each_distribution_and_nothing_else() -> None:
    wanted = {place(folder) for folder in FOLDERS for place in (wheel_of, sdist_of)}
    assert set(DIST.iterdir()) == wanted


@each_distribution
def test_a_wheel_holds_its_import_package_whole_and_nothing_else(folder: Path) -> None:
    contents = contents_of(wheel_of(folder)).items()
    package = {name: data for name, data in contents if ".dist-info/" not in name}
    assert package == sources_of(folder)


@each_distribution
def test_a_wheel_carries_the_license(folder: Path) -> None:
    distribution = distribution_of(folder)
    assert distribution.metadata["License-Expression"] == "MIT"
    assert distribution.read_text("licenses/LICENSE") == (ROOT / "LICENSE").read_text()


@each_distribution
def test_a_wheel_says_what_its_project_says(folder: Path) -> None:
    project, metadata = project_of(folder), distribution_of(folder).metadata
    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == project["version"]
    assert metadata["Summary"] == project["description"]
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata.get_all("Classifier") == project["classifiers"]
    assert metadata["Description-Content-Type"] == "text/markdown"


@each_distribution
def test_a_wheel_requires_what_its_project_requires_and_offers_its_extras(folder: Path) -> None:
    project, distribution = project_of(folder), distribution_of(folder)
    required = {Requirement(line) for line in distribution.requires or ()}
    always = {one for one in required if one.marker is None}
    assert always == {Requirement(line) for line in project["dependencies"]}
    extras = set(distribution.metadata.get_all("Provides-Extra", []))
    assert extras == project.get("optional-dependencies", {}).keys()


@each_distribution
def test_a_wheel_requires_nothing_by_address(folder: Path) -> None:
    required = [Requirement(line) for line in distribution_of(folder).requires or ()]
    assert [one for one in required if one.url] == []


@each_distribution
def test_a_wheel_offers_the_entry_points_of_its_project(folder: Path) -> None:
    assert set(distribution_of(folder).entry_points) == entry_points_of(project_of(folder))


@each_distribution
def test_an_sdist_holds_the_sources_and_nothing_else(folder: Path) -> None:
    prefix = f"{stem_of(folder)}/"
    with tarfile.open(sdist_of(folder)) as archive:
        names = {name.removeprefix(prefix) for name in archive.getnames()}
    beside = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore", "CHANGELOG.md"}
    assert names - beside == {f"src/{name}" for name in sources_of(folder)}


@each_distribution
def test_the_wheel_of_an_sdist_is_that_of_the_checkout(folder: Path, tmp_path: Path) -> None:
    # What is in dist/ was made from the sdist.
    command = ["-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(folder)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    wheel = wheel_of(folder)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
