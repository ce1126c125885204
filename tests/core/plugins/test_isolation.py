"""A plugin that fails, in whatever way, harms no name but its own."""

from __future__ import annotations

import pickle
import re
from collections import deque

import pytest
from tests.core.plugins.distributions import Site, provider

from atdata import plugins
from atdata.errors import PluginLoadError, PluginNotFoundError

IMPORT = "from atdata.hookspecs import hookimpl\n"
FAULTS = {
    "an import that fails": ("import module_that_is_nowhere", "ModuleNotFoundError"),
    "a syntax error": ("def (", "SyntaxError"),
    "an exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "no hook": ("register_index_providers = None", "implements no hook"),
    "a hook that does not exist": (
        IMPORT + "@hookimpl\ndef register_gadgets(register): pass",
        "register_gadgets",
    ),
    "an argument that does not exist": (
        IMPORT + "@hookimpl\ndef register_data_stores(register, colour): pass",
        "colour",
    ),
    "an error while registering": (
        IMPORT + "@hookimpl\ndef register_data_stores(register): raise OSError('no disk')",
        "OSError: no disk",
    ),
    "an exit while registering": (
        IMPORT + "@hookimpl\ndef register_data_stores(register): raise SystemExit(4)",
        "SystemExit: 4",
    ),
    "a target that is no import string": (provider("x", "just.a.module"), "just.a.module"),
    "a name that is no string": (
        IMPORT + "@hookimpl\ndef register_data_stores(register): register(7, 'a:b')",
        "not 7",
    ),
    "an empty name": (provider("", "a:b"), "not ''"),
    "a source under what is no scheme": (
        IMPORT + "@hookimpl\ndef register_data_sources(register): register('acme://', 'a:b')",
        "not 'acme://'",
    ),
    "a source under a scheme that no look-up asks for": (
        IMPORT + "@hookimpl\ndef register_data_sources(register): register('ACME', 'a:b')",
        "not 'ACME'",
    ),
    "a name registered twice": (
        IMPORT
        + "@hookimpl\ndef register_data_stores(register):\n [register('x', 'a:b') for _ in '12']",
        "'x' twice",
    ),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, site: Site) -> str:
    source, expected = FAULTS[request.param]
    site.install("bad", source)
    site.install("acme", provider("fancy", "collections:deque"))
    return expected


def test_a_plugin_that_fails_warns_once_and_hides_no_other(fault: str) -> None:
    with pytest.warns(plugins.PluginWarning, match=re.escape(fault)) as caught:
        assert plugins.load("index provider", "fancy") is deque
    assert "'bad' of dist-bad 1.0" in str(caught[0].message)
    assert len(caught) == 1
    # Warnings are errors here, so a second one would raise.
    assert "fancy" in [r.name for r in plugins.names("index provider")]


def test_a_plugin_that_fails_raises_when_its_own_name_is_asked_for(fault: str) -> None:
    with pytest.raises(PluginLoadError, match=r"'bad' of dist-bad 1\.0 cannot be loaded") as caught:
        plugins.load("index provider", "bad")
    assert fault in str(caught.value)
    assert caught.value.details["distribution"] == "dist-bad"
    assert "Traceback" in caught.value.details["traceback"]
    assert caught.value.__cause__ is not None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_plugin_that_fails_is_reported_with_its_traceback(fault: str) -> None:
    (problem,) = plugins.problems()
    assert (problem.plugin.distribution, problem.plugin.version) == ("dist-bad", "1.0")
    assert fault in problem.problem
    assert "Traceback" in problem.traceback


def test_a_missing_name_mentions_the_plugins_that_failed(site: Site) -> None:
    site.install("bad", "import module_that_is_nowhere")
    with (
        pytest.warns(plugins.PluginWarning),
        pytest.raises(PluginNotFoundError, match=r"these failed: dist-bad 1\.0"),
    ):
        plugins.load("index provider", "fancy")


def test_a_plugin_that_fails_registers_nothing(site: Site) -> None:
    site.install(
        "half",
        """
        from atdata.hookspecs import hookimpl

        @hookimpl
        def register_index_providers(register):
            register("half-done", "collections:deque")
            raise RuntimeError("halfway")
        """,
    )
    with pytest.warns(plugins.PluginWarning, match="halfway"):
        assert "half-done" not in [r.name for r in plugins.names("index provider")]


def test_an_interrupt_is_not_taken_for_a_failure(site: Site) -> None:
    site.install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        plugins.load("index provider", "bad")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("module_that_is_nowhere:Provider", "ModuleNotFoundError"),
        ("collections:NoSuchClass", "NoSuchClass"),
        ("module_that_exits:Provider", "SystemExit"),
    ],
)
def test_a_target_that_cannot_be_imported_names_its_distribution(
    site: Site, target: str, expected: str
) -> None:
    site.write_module("module_that_exits", "raise SystemExit")
    site.install("acme", provider("acme", target))
    with pytest.raises(PluginLoadError, match=f"^{target}, .*dist-acme 1.0.*{expected}") as caught:
        plugins.load("index provider", "acme")
    assert caught.value.details["target"] == target


def test_an_entry_point_without_its_attribute_is_a_failure(site: Site) -> None:
    site.declare("dist-bad", {"bad": "collections:no_such_plugin"})
    with pytest.raises(PluginLoadError, match="no_such_plugin"):
        plugins.load("index provider", "bad")


def test_an_entry_point_that_is_no_reference_is_a_failure(site: Site) -> None:
    site.declare("dist-bad", {"bad": "not a reference"})
    with pytest.raises(PluginLoadError, match="'bad' of dist-bad"):
        plugins.load("index provider", "bad")


@pytest.mark.parametrize(
    ("metadata", "entry_points"),
    [
        ("Metadata-Version: 2.1\nName: dist-odd\nVersion: 1.0\n", "[atdata]\na line of nothing"),
        ("Metadata-Version: 2.1\n", "[atdata]\nodd = plugin_odd"),
    ],
)
def test_damaged_metadata_is_reported_and_hides_nothing(
    site: Site, metadata: str, entry_points: str
) -> None:
    site.install("acme", provider("fancy", "collections:deque"))
    site.write_metadata("dist-odd", metadata, entry_points)
    with pytest.warns(plugins.PluginWarning, match="metadata"):
        assert plugins.load("index provider", "fancy") is deque
    (problem,) = plugins.problems()
    assert str(site.path) in problem.plugin.distribution


def test_a_distribution_without_a_version_still_works(site: Site) -> None:
    site.install("acme", provider("acme", "collections:deque"))
    site.write_metadata(
        "dist-acme", "Metadata-Version: 2.1\nName: dist-acme\n", "[atdata]\nacme = plugin_acme"
    )
    assert plugins.load("index provider", "acme") is deque
    (acme,) = (r for r in plugins.names("index provider") if r.name == "acme")
    assert str(acme.plugin) == "dist-acme"


def test_everything_works_with_every_plugin_broken(site: Site) -> None:
    for name in ("first", "second", "third"):
        site.install(name, "import module_that_is_nowhere")
    with pytest.warns(plugins.PluginWarning) as caught:
        assert "memory" in [r.name for r in plugins.names("index provider")]
    assert len(caught) == 3
    assert len(plugins.problems()) == 3
    broken = {row.plugin.entry_point for row in plugins.diagnose() if row.traceback}
    assert {"first", "second", "third"} <= broken
