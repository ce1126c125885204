"""Commands of plugins join those of core, and can neither replace nor break them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.core.cli.conftest import Run
from tests.core.plugins.distributions import Site, provider

GREETER = """
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_commands(app):
        @app.command()
        def greet(name: str):
            "Say hello."
            print("hello", name)

        @app.command()
        def ls():
            print("mine now")

        @app.callback(invoke_without_command=True)
        def everything():
            print("mine as well")
"""
UNBUILDABLE = """
    from typing import Annotated
    import typer
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_commands(app):
        @app.command()
        def odd(both: Annotated[str, typer.Option(), typer.Argument()]):
            pass

        group = typer.Typer(help="More.")

        @group.command()
        def one():
            print("first")

        @group.command()
        def two():
            print("second")

        app.add_typer(group, name="more")
"""
RAISING = """
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_commands(app):
        raise SystemExit("no commands today")
"""
BROKEN = "import a_module_that_is_not_there"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    return Site(folder)


def test_a_plugin_adds_a_command_and_replaces_none(run: Run, site: Site) -> None:
    site.install("greeter", GREETER)
    assert run("greet", "you").stdout == "hello you\n"
    assert json.loads(run("ls", "--json").stdout) == []
    shown = run("--help")
    assert "greet" in shown.stdout
    assert "the command 'ls' of a plugin is not used" in shown.stderr
    checked = run("doctor", "--json", ATDATA_PLUGINS="greeter")
    assert checked.returncode == 1
    assert "'ls'" in json.loads(checked.stdout)["command_problems"][0]


def test_a_command_that_cannot_be_built_leaves_the_others(run: Run, site: Site) -> None:
    site.install("odd", UNBUILDABLE)
    done = run("more", "two")
    assert done.stdout == "second\n"
    assert "the command 'odd' of a plugin is not used" in done.stderr
    assert "more" in run("--help").stdout


@pytest.mark.parametrize("source", [RAISING, BROKEN])
def test_a_broken_plugin_costs_one_line(run: Run, site: Site, source: str) -> None:
    site.install("greeter", GREETER)
    site.install("broken", source)
    done = run("greet", "you")
    assert done.stdout == "hello you\n"
    assert "'broken' of dist-broken 1.0" in done.stderr
    assert "Traceback" not in done.stderr
    # Core's own commands load no plugin.
    assert "broken" not in run("ls").stderr


def test_plugins_are_listed_when_all_are_broken(run: Run, site: Site) -> None:
    site.install("broken", BROKEN)
    listed = run("plugins", "list", ATDATA_PLUGINS="broken")
    assert listed.returncode == 0
    assert "index provider\tmemory\t" in listed.stdout


def test_list_names_what_plugins_offer(run: Run, site: Site) -> None:
    site.install("acme", provider("acme", "acme:Provider"))
    listed = json.loads(run("plugins", "list", "--json", ATDATA_PLUGINS="acme").stdout)
    assert {
        "kind": "index provider",
        "name": "acme",
        "target": "acme:Provider",
        "distribution": "dist-acme 1.0",
    } in listed
