"""``atdata doctor`` reports everything and hides secrets, whatever is broken."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.core.cli.conftest import Run
from tests.core.plugins.distributions import Site, provider

# Loading all plugins takes seconds.
QUICK = {"ATDATA_PLUGINS": "sqlite,broken,raising,talkative,acme"}
CANARY = "canary-2f8c1a"
BROKEN = "import a_module_that_is_not_there"
TALKATIVE = """
    import os

    print("hello from a plugin")
    raise OSError(f"no access with {os.environ['SERVICE_TOKEN']}")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    return Site(folder)


def examined(run: Run, *arguments: object, **environment: str) -> dict[str, Any]:
    done = run(*arguments, "doctor", "--json", **QUICK | environment)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1), done.stderr
    assert report["ok"] == (not report["problems"])
    for problem in report["problems"]:
        assert all(problem[part] for part in ("subject", "problem", "remedy"))
    return report


def problems_of(report: dict[str, Any], subject: str) -> list[dict[str, str]]:
    return [one for one in report["problems"] if one["subject"] == subject]


def test_it_reports_what_a_report_of_a_fault_needs(run: Run, database: Path) -> None:
    report = examined(run, "--index", database, ATDATA_PLUGINS="sqlite,s3")
    assert report["ok"], report["problems"]
    assert report["distributions"]["atdata-core"] == version("atdata-core")
    assert report["dependencies"]["numpy"] == version("numpy")
    assert report["python"].endswith(platform.python_version())
    assert report["system"] == platform.platform()
    assert report["index"] == f"SQLiteProvider({str(database)!r})"
    assert report["datasets"] == 1
    assert {"ATDATA_HOME", "ATDATA_PLUGINS"} <= {*report["variables"]}
    assert {one["entry_point"] for one in report["findings"]} > {"core", "sqlite", "s3"}


def test_what_is_printed_for_people_says_the_same(run: Run, database: Path, tmp_path: Path) -> None:
    done = run("--index", database, "doctor", "--store", tmp_path, **QUICK)
    assert f"numpy\t{version('numpy')}\n" in done.stdout
    assert "\nindex\tSQLiteProvider(" in done.stdout
    assert f"\nstore\tLocalDiskStore({str(tmp_path)!r})" in done.stdout
    assert "sqlite\tatdata-sqlite" in done.stdout
    assert done.stderr == ""


def test_it_makes_neither_home_nor_index(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    report = examined(run, ATDATA_HOME=str(home))
    assert report["ok"]
    assert report["index"].startswith("none yet")
    assert not home.exists()


def test_it_works_when_all_plugins_are_broken(run: Run, site: Site) -> None:
    site.install("broken", BROKEN)
    site.install("raising", "raise SystemExit('not today')")
    report = examined(run)
    assert {one["entry_point"] for one in report["findings"] if one["problem"]} == {
        "broken",
        "raising",
    }
    shown = run("doctor", **QUICK)
    assert shown.returncode == 1
    assert "No module named 'a_module_that_is_not_there'" in shown.stdout
    assert "Traceback" in shown.stdout
    assert shown.stderr == "atdata: problems found: 2\n"


def test_it_works_with_core_alone(run: Run) -> None:
    report = examined(run, ATDATA_PLUGINS="")
    assert report["ok"]
    assert "left out by ATDATA_PLUGINS" in {one["subject"] for one in report["findings"]}


def test_everything_that_is_installed_passes_under_its_other_name(run: Run) -> None:
    assert json.loads(run("plugins", "doctor", "--json").stdout)["problems"] == []


def test_an_index_that_cannot_be_read_is_a_problem(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"not a database" * 1000)
    (problem,) = problems_of(examined(run, "--index", path), "index")
    assert str(path) in problem["problem"]
    assert "--index" in problem["remedy"]


def test_an_index_that_is_not_there_is_a_problem(run: Run, tmp_path: Path) -> None:
    report = examined(run, ATDATA_INDEX=str(tmp_path / "missing.db"))
    assert problems_of(report, "index")


def test_an_index_whose_plugin_is_left_out_is_a_problem(run: Run, database: Path) -> None:
    (problem,) = problems_of(examined(run, "--index", database, ATDATA_PLUGINS=""), "index")
    assert "ATDATA_PLUGINS" in problem["problem"]


@pytest.mark.parametrize("home", ["~nobody-of-this-name/x", "{file}", "{file}/below"])
def test_a_home_that_cannot_be_used_is_a_problem(run: Run, tmp_path: Path, home: str) -> None:
    (tmp_path / "file").touch()
    report = examined(run, ATDATA_HOME=home.format(file=tmp_path / "file"))
    (problem,) = problems_of(report, "home")
    assert "ATDATA_HOME" in problem["remedy"]


def test_a_store_that_is_a_file_is_a_problem(run: Run, database: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("--index", database, "doctor", "--store", tmp_path / "file", "--json", **QUICK)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert problems_of(report, "store") or problems_of(report, "index")


def test_a_requirement_that_is_missing_is_a_problem(run: Run, site: Site) -> None:
    site.declare("atdata-shelf", {}, requires="a-thing-not-there >= 2")
    (problem,) = problems_of(examined(run), "atdata-shelf 1.0")
    assert problem["problem"] == "it requires a-thing-not-there>=2, which is not installed"
    assert problem["remedy"] == "pip install 'a-thing-not-there>=2'"


def test_a_requirement_of_another_version_is_a_problem(run: Run, site: Site) -> None:
    site.declare("atdata-shelf", {}, requires="numpy < 1")
    (problem,) = problems_of(examined(run), "atdata-shelf 1.0")
    assert f"which is {version('numpy')} here" in problem["problem"]


def test_what_an_extra_requires_is_missed_where_the_extra_is_asked_for(
    run: Run, site: Site
) -> None:
    site.declare("atdata-rack", {}, requires="lacking; extra == 'more'")
    assert examined(run)["ok"]
    site.declare("atdata-shelf", {}, requires="atdata-rack[more]")
    (problem,) = problems_of(examined(run), "atdata-rack 1.0")
    assert "lacking" in problem["problem"]


def test_another_release_over_this_one_is_a_problem(run: Run, site: Site) -> None:
    site.declare("atdata", {}, requires="numpy")
    (problem,) = problems_of(examined(run), "atdata 1.0")
    assert "another release" in problem["problem"]


def test_damaged_metadata_is_a_problem(run: Run, site: Site) -> None:
    site.write_metadata("half", "", "")
    report = examined(run)
    assert [one for one in report["problems"] if "metadata" in one["problem"]]


def outputs_of(run: Run, *arguments: object, **environment: str) -> str:
    done: list[subprocess.CompletedProcess[str]] = [
        run(*arguments, "doctor", *more, **QUICK | environment) for more in ([], ["--json"])
    ]
    assert [one.returncode for one in done] == [1, 1]
    return "".join(one.stdout + one.stderr for one in done)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{CANARY}@127.0.0.1:1/base",
        f"host=127.0.0.1 port=1 user=me password={CANARY}",
        f"redis://:{CANARY}@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?password={CANARY}",
        f"unknown://me:{CANARY}@127.0.0.1/",
    ],
)
def test_the_password_of_an_index_is_never_shown(run: Run, address: str) -> None:
    plugins = "postgres,redis"
    assert CANARY not in outputs_of(run, ATDATA_INDEX=address, ATDATA_PLUGINS=plugins)


def test_the_password_of_an_option_is_never_shown(run: Run) -> None:
    assert CANARY not in outputs_of(run, "--index", f"redis://:{CANARY}@127.0.0.1:1/0")


def test_what_a_plugin_says_of_the_environment_is_searched_for_secrets(
    run: Run, site: Site
) -> None:
    site.install("talkative", TALKATIVE)
    shown = outputs_of(run, SERVICE_TOKEN=CANARY, AWS_SECRET_ACCESS_KEY=CANARY, ATDATA_X=CANARY)
    assert CANARY not in shown
    assert "no access with ***" in shown
    assert "AWS_SECRET_ACCESS_KEY" in shown


def test_a_plugin_that_prints_does_not_spoil_the_document(run: Run, site: Site) -> None:
    site.install("talkative", TALKATIVE)
    examined(run, SERVICE_TOKEN=CANARY)


def test_a_provider_that_fails_in_its_own_way_is_a_problem(run: Run, site: Site) -> None:
    site.install("acme", provider("acme", "acme:missing"))
    report = examined(run)
    assert [one for one in report["problems"] if one["subject"].startswith("dist-acme 1.0")]
