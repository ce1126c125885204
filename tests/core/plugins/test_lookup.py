"""Which plugin answers for a name, and what is imported to find out."""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from tests.core.plugins.distributions import Site, provider

from atdata import plugins
from atdata.errors import PluginConflictError, PluginLoadError, PluginNotFoundError


def test_a_look_up_imports_only_the_plugin_of_that_very_name(site: Site) -> None:
    site.install("fast", provider("fast", "collections:deque"))
    site.install("slow", "import time; time.sleep(60)")
    assert plugins.load("index provider", "fast") is deque
    assert "plugin_slow" not in sys.modules


def test_a_name_that_no_entry_point_has_is_found_in_any_plugin(site: Site) -> None:
    site.install("other", provider("x", "a:b"))
    site.install("acme", provider("fancy", "collections:deque"))
    assert plugins.load("index provider", "fancy") is deque


def test_a_plugin_of_that_name_and_another_kind_does_not_end_the_search(site: Site) -> None:
    site.install("fancy", provider("something", "collections:OrderedDict"))
    site.install("acme", provider("fancy", "collections:deque"))
    assert plugins.load("index provider", "fancy") is deque


def test_a_target_is_imported_only_when_it_is_asked_for(site: Site) -> None:
    site.install("late", provider("late", "driver_of_late:Provider"))
    site.write_module("driver_of_late", "class Provider: pass")
    assert "late" in [r.name for r in plugins.names("index provider")]
    assert "driver_of_late" not in sys.modules
    plugins.load("index provider", "late")
    assert "driver_of_late" in sys.modules


def test_a_listing_tells_where_a_name_comes_from(site: Site) -> None:
    site.install("acme", provider("fancy", "collections:deque"))
    (fancy,) = (r for r in plugins.names("index provider") if r.name == "fancy")
    assert fancy.import_string == "collections:deque"
    assert (fancy.plugin.distribution, fancy.plugin.version) == ("dist-acme", "1.0")
    assert (fancy.plugin.entry_point, fancy.plugin.module) == ("acme", "plugin_acme")


def test_a_missing_name_says_what_there_is(site: Site) -> None:
    site.install("acme", provider("fancy", "collections:deque"))
    with pytest.raises(PluginNotFoundError, match=r"'fnacy' \(known: fancy, memory") as caught:
        plugins.load("index provider", "fnacy")
    assert "fancy" in caught.value.details["known"]


@pytest.mark.parametrize(
    ("kind", "name", "distribution"),
    [
        ("index provider", "sqlite", "atdata-sqlite"),
        ("index provider", "redis", "atdata-redis"),
        ("index provider", "postgres", "atdata-postgres"),
        ("data store", "s3", "atdata-s3"),
        ("data source", "s3", "atdata-s3"),
        ("data source", "at", "atdata-atmosphere"),
        ("authority", "@", "atdata-atmosphere"),
        ("authority", "at", "atdata-atmosphere"),
    ],
)
def test_a_missing_official_name_says_how_to_install_it(
    run: Callable[..., str], kind: str, name: str, distribution: str
) -> None:
    output = run(f"""if True:
        from atdata import plugins
        try:
            plugins.load({kind!r}, {name!r})
        except ImportError as error:
            print(error)
    """)
    assert f"`pip install {distribution}` provides it" in output


def test_an_official_plugin_that_is_broken_is_not_called_missing(site: Site) -> None:
    site.write_module("broken_atmosphere", "raise ImportError('no network library')")
    site.declare("atdata-atmosphere", {"atmosphere": "broken_atmosphere"})
    with pytest.raises(PluginLoadError, match="no network library"):
        plugins.load("authority", "@")


def test_two_plugins_that_claim_a_name_are_both_named(site: Site) -> None:
    site.install("a", provider("shared", "collections:deque"))
    site.install("b", provider("shared", "collections:OrderedDict"))
    with pytest.raises(PluginConflictError, match=r"dist-a 1.0 and dist-b 1.0|dist-b .* dist-a"):
        plugins.load("index provider", "shared")
    with pytest.raises(PluginConflictError, match="only one of a, b in ATDATA_PLUGINS"):
        plugins.load("index provider", "shared")
    assert len([r for r in plugins.names("index provider") if r.name == "shared"]) == 2


def test_the_allow_list_settles_a_conflict(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("a", provider("shared", "collections:deque"))
    site.install("b", provider("shared", "collections:OrderedDict"))
    monkeypatch.setenv("ATDATA_PLUGINS", " b , sqlite")
    assert plugins.load("index provider", "shared") is OrderedDict


def test_two_distributions_with_one_entry_point_name_conflict(site: Site) -> None:
    site.install("a", provider("same", "collections:deque"))
    site.install("b", provider("same", "collections:OrderedDict"))
    site.declare("dist-a", {"same": "plugin_a"})
    site.declare("dist-b", {"same": "plugin_b"})
    with pytest.raises(PluginConflictError, match=r"uninstall all but one$"):
        plugins.load("index provider", "same")


@pytest.mark.parametrize("loaded_before", [False, True])
def test_the_entry_point_of_that_very_name_goes_first(site: Site, loaded_before: bool) -> None:
    site.install("fancy", provider("fancy", "collections:deque"))
    site.install("acme", provider("fancy", "collections:OrderedDict"))
    if loaded_before:
        plugins.names("index provider")
    assert plugins.load("index provider", "fancy") is deque
    (problem,) = plugins.problems()
    assert problem.plugin.distribution == "dist-acme"
    assert "belongs to dist-fancy 1.0" in problem.problem


def test_a_plugin_cannot_take_a_name_of_core(site: Site) -> None:
    site.install("acme", provider("memory", "collections:deque"))
    with pytest.warns(plugins.PluginWarning, match="may not replace core's"):
        listed = plugins.names("index provider")
    (memory,) = (r for r in listed if r.name == "memory")
    assert memory.plugin.entry_point == "core"
    assert [problem.plugin.distribution for problem in plugins.problems()] == ["dist-acme"]


def test_an_empty_allow_list_leaves_only_core(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme", provider("fancy", "collections:deque"))
    monkeypatch.setenv("ATDATA_PLUGINS", "")
    assert [r.name for r in plugins.names("index provider")] == ["memory"]


def test_a_plugin_left_out_is_told_apart_from_a_missing_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme", provider("acme", "collections:deque"))
    monkeypatch.setenv("ATDATA_PLUGINS", "sqlite")
    with pytest.raises(
        PluginNotFoundError, match=r"dist-acme 1.0 is installed, but ATDATA_PLUGINS"
    ):
        plugins.load("index provider", "acme")
    with pytest.raises(PluginNotFoundError, match=r"memory.*\)$"):
        plugins.load("index provider", "other")


def test_the_allow_list_is_read_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme", provider("acme", "collections:deque"))
    plugins.names("data store")
    monkeypatch.setenv("ATDATA_PLUGINS", "")
    assert plugins.load("index provider", "acme") is deque


def test_a_plugin_installed_meanwhile_is_seen_after_a_rescan(site: Site) -> None:
    with pytest.raises(PluginNotFoundError):
        plugins.load("index provider", "acme")
    site.install("acme", provider("acme", "collections:deque"))
    plugins.rescan()
    assert plugins.load("index provider", "acme") is deque


def test_the_first_of_two_copies_of_a_distribution_counts(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Site(tmp_path_factory.mktemp("older"))
    older.declare("dist-acme", {"acme": "module_of_the_older_copy"})
    monkeypatch.syspath_prepend(older.path)
    site.install("acme", provider("acme", "collections:deque"))
    monkeypatch.syspath_prepend(site.path)
    plugins.rescan()
    assert plugins.load("index provider", "acme") is deque


def test_threads_may_look_up_at_once(site: Site) -> None:
    site.install("acme", provider("fancy", "collections:deque"))
    site.install("bad", "raise ImportError('no driver')")
    with (
        pytest.warns(plugins.PluginWarning) as caught,
        ThreadPoolExecutor(16) as pool,
    ):
        found = list(pool.map(lambda _: plugins.load("index provider", "fancy"), range(64)))
    assert found == [deque] * 64
    assert len(caught) == 1


def test_a_forked_child_finds_what_its_parent_loaded(run: Callable[..., str], site: Site) -> None:
    site.install("acme", "print('imported')\n" + dedent(provider("acme", "collections:deque")))
    output = run("""if True:
        import os
        from atdata import plugins
        plugins.load("index provider", "acme")
        child = os.fork()
        found = plugins.load("index provider", "acme")
        if not child:
            os._exit(found.__name__ != "deque")
        assert os.waitpid(child, 0)[1] == 0
    """)
    assert "imported" in output


def test_core_works_from_sources_that_are_not_installed(run: Callable[..., str]) -> None:
    output = run("""if True:
        from atdata import plugins
        for registration in plugins.names("data source"):
            print(registration.name, registration.plugin)
    """)
    assert output == "file atdata-core\nhttp atdata-core\nhttps atdata-core\n"


def test_names_of_core_are_found_without_a_scan(run: Callable[..., str], site: Site) -> None:
    site.install("acme", "raise ImportError('never imported')")
    output = run("""if True:
        import sys
        from atdata import plugins
        print({"pluggy", "importlib_metadata", "typer"} & set(sys.modules))
        sys.modules["atdata.index.memory"] = type("Module", (), {"MemoryProvider": dict})
        assert plugins.load("index provider", "memory") is dict
        print({"importlib_metadata", "typer"} & set(sys.modules))
    """)
    assert output == "set()\nset()\n"


def test_a_listing_imports_no_database_driver(run: Callable[..., str], site: Site) -> None:
    package = Path(__file__).parents[3] / "atdata-sqlite" / "src" / "atdata_sqlite"
    (site.path / "atdata_sqlite").unlink(missing_ok=True)
    (site.path / "atdata_sqlite").symlink_to(package)
    site.declare("atdata-sqlite", {"sqlite": "atdata_sqlite"})
    output = run("""if True:
        import sys
        from atdata import plugins
        print([registration.name for registration in plugins.names("index provider")])
        print({"sqlalchemy", "sqlite3", "atdata_sqlite.provider"} & set(sys.modules))
    """)
    assert output == "['memory', 'sqlite']\nset()\n"
