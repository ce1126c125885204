"""The hooks, with the signatures that plugins rely on."""

from __future__ import annotations

import inspect
from collections import OrderedDict

import pytest
import typer
from tests.core.plugins.distributions import Site
from typer.testing import CliRunner

from atdata import hookspecs, plugins

SIGNATURES = {
    "register_index_providers": "(register: 'Register') -> 'None'",
    "register_data_stores": "(register: 'Register') -> 'None'",
    "register_data_sources": "(register: 'Register') -> 'None'",
    "register_authorities": "(register: 'Register') -> 'None'",
    "register_commands": "(app: 'typer.Typer') -> 'None'",
}

REGISTERS_EVERYTHING = """
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_index_providers(register):
        register("full", "collections:OrderedDict")

    @hookimpl
    def register_data_stores(register):
        register("full", "collections:OrderedDict")

    @hookimpl
    def register_data_sources(register):
        register(name="full", target="collections:OrderedDict")

    @hookimpl
    def register_authorities(register):
        register("full", "collections:OrderedDict.fromkeys")

    @hookimpl
    def register_commands(app):
        @app.command()
        def greet():
            print("hello")
"""


def specified() -> dict[str, object]:
    return {
        name: member for name, member in vars(hookspecs).items() if hasattr(member, "atdata_spec")
    }


def test_the_hooks_have_the_signatures_that_are_promised() -> None:
    assert {name: str(inspect.signature(hook)) for name, hook in specified().items()} == SIGNATURES  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_hook_states_its_contract_in_one_line(name: str) -> None:
    contract = specified()[name].__doc__
    assert contract
    assert "\n" not in contract


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_hook_is_implemented_by_the_plugin_these_tests_install(name: str) -> None:
    assert f"def {name}(" in REGISTERS_EVERYTHING


@pytest.mark.parametrize("kind", ["index provider", "data store", "data source"])
def test_what_a_hook_registers_is_found_by_kind_and_name(site: Site, kind: plugins.Kind) -> None:
    site.install("full", REGISTERS_EVERYTHING)
    assert plugins.load(kind, "full") is OrderedDict


def test_an_authority_may_be_an_attribute_of_a_class(site: Site) -> None:
    site.install("full", REGISTERS_EVERYTHING)
    assert plugins.load("authority", "full") == OrderedDict.fromkeys


def test_a_plugin_adds_commands(site: Site) -> None:
    site.install("full", REGISTERS_EVERYTHING)
    app = typer.Typer()
    app.command("other")(lambda: None)
    plugins.register_commands(app)
    assert CliRunner().invoke(app, ["greet"]).output == "hello\n"


def test_a_plugin_whose_commands_fail_leaves_those_of_others(site: Site) -> None:
    site.install("full", REGISTERS_EVERYTHING)
    site.install(
        "bad",
        """
        from atdata.hookspecs import hookimpl

        @hookimpl
        def register_commands(app):
            raise SystemExit("no commands today")
        """,
    )
    app = typer.Typer()
    app.command("other")(lambda: None)
    with pytest.warns(plugins.PluginWarning, match="its commands: SystemExit: no commands today"):
        plugins.register_commands(app)
    assert CliRunner().invoke(app, ["greet"]).output == "hello\n"
    assert [(p.plugin.distribution, p.subject) for p in plugins.problems()] == [
        ("dist-bad", "commands")
    ]


def test_commands_of_a_plugin_that_does_not_load_are_left_out(site: Site) -> None:
    site.install("broken", "raise ImportError('no driver')")
    with pytest.warns(plugins.PluginWarning, match="no driver"):
        plugins.register_commands(typer.Typer())


def test_one_plugin_may_implement_a_hook_more_than_once(site: Site) -> None:
    site.install(
        "two",
        """
        from atdata.hookspecs import hookimpl

        @hookimpl(specname="register_data_stores")
        def stores(register):
            register("first", "collections:OrderedDict")

        @hookimpl(specname="register_data_stores")
        def more_stores(register):
            register("second", "collections:deque")
        """,
    )
    listed = {r.name for r in plugins.names("data store")}
    assert {"first", "second"} <= listed


def test_an_entry_point_may_name_an_object_and_a_target_may_be_one(site: Site) -> None:
    site.write_module(
        "shop",
        """
        from atdata.hookspecs import hookimpl

        class Store:
            pass

        class Shop:
            @hookimpl
            def register_data_stores(self, register):
                register("class", Store)
                register("instance", Store())

        shop = Shop()
        """,
    )
    site.declare("dist-shop", {"shop": "shop:shop"})
    assert type(plugins.load("data store", "instance")) is plugins.load("data store", "class")
    listed = {r.name: r.import_string for r in plugins.names("data store")}
    assert listed["class"] == listed["instance"] == "shop:Store"


def test_one_module_may_be_the_plugin_of_two_entry_points(site: Site) -> None:
    site.install("full", REGISTERS_EVERYTHING)
    site.declare("dist-full", {"full": "plugin_full", "alias": "plugin_full"})
    assert plugins.load("data store", "full") is OrderedDict
    assert plugins.problems() == []


def test_core_registers_its_own_backends() -> None:
    kinds: tuple[plugins.Kind, ...] = ("index provider", "data store", "data source", "authority")
    core = [r for kind in kinds for r in plugins.names(kind) if r.plugin.entry_point == "core"]
    assert {(r.kind, r.name, r.import_string) for r in core} == {
        ("index provider", "memory", "atdata.index.memory:MemoryProvider"),
        ("data store", "disk", "atdata.stores.disk:LocalDiskStore"),
        ("data source", "file", "atdata.dataset.url:URLSource"),
        ("data source", "http", "atdata.dataset.url:URLSource"),
        ("data source", "https", "atdata.dataset.url:URLSource"),
        ("authority", "local", "atdata.index.default:open_local"),
    }
