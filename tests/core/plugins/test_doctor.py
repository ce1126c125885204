"""The report on all plugins, which has a row for every failure and raises none."""

from __future__ import annotations

import pytest
from tests.core.plugins.distributions import Site, provider

from atdata import plugins

KINDS = {
    "index provider": "register_index_providers",
    "data store": "register_data_stores",
    "data source": "register_data_sources",
    "authority": "register_authorities",
}


def install(site: Site, kind: str, target: str) -> None:
    site.install(
        "acme",
        f"""
        from atdata.hookspecs import hookimpl

        @hookimpl
        def {KINDS[kind]}(register):
            register("fancy", {target!r})
        """,
    )


def install_core(site: Site) -> None:
    metadata = "Metadata-Version: 2.1\nName: atdata-core\nVersion: 0.8.1\n"
    site.write_metadata("atdata-core", metadata, "[atdata]\ncore = atdata.backends")


def rows(distribution: str) -> dict[str, plugins.Finding]:
    return {
        row.subject: row for row in plugins.diagnose() if row.plugin.distribution == distribution
    }


def test_a_sound_plugin_has_a_row_for_all_that_was_checked(site: Site) -> None:
    site.write_module("acme", "class Provider:\n    commit = get = scan = close = print")
    install(site, "index provider", "acme:Provider")
    report = rows("dist-acme")
    assert list(report) == ["entry point", "version", "index provider 'fancy'"]
    assert not any(row.problem for row in report.values())


@pytest.mark.parametrize(
    ("kind", "source", "lacks"),
    [
        ("index provider", "class X: commit = get = print", "scan, close"),
        (
            "data store",
            "class X: put = open = write_shards = print",
            "read_url, supports_streaming",
        ),
        ("data source", "class X: from_urls = open_shard = print", "list_shards or shard_list"),
        ("data source", "class X: from_urls = shard_list = print", "open_shard"),
        ("data source", "class X: open_shard = list_shards = print", "from_urls"),
        ("authority", "X = 7", "__call__"),
        ("index provider", "class X: commit = get = scan = close = 7", "commit, get, scan, close"),
    ],
)
def test_a_target_of_the_wrong_kind_is_told_what_it_lacks(
    site: Site, kind: str, source: str, lacks: str
) -> None:
    site.write_module("acme", source)
    install(site, kind, "acme:X")
    problem = rows("dist-acme")[f"{kind} 'fancy'"].problem
    assert problem == f"acme:X is no {kind}: it lacks {lacks}"


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("data store", "class X: write_shards = read_url = supports_streaming = print"),
        ("data source", "class X: from_urls = open_shard = list_shards = print"),
        ("data source", "class X: from_urls = open_shard = shard_list = print"),
        ("authority", "def X(): pass"),
    ],
)
def test_a_target_of_the_right_kind_is_accepted(site: Site, kind: str, source: str) -> None:
    site.write_module("acme", source)
    install(site, kind, "acme:X")
    assert rows("dist-acme")[f"{kind} 'fancy'"].problem == ""


def test_a_class_that_leaves_a_method_abstract_lacks_it(site: Site) -> None:
    site.write_module(
        "acme",
        """
        from abc import ABC, abstractmethod

        class X(ABC):
            commit = get = scan = print

            @abstractmethod
            def close(self): ...
        """,
    )
    install(site, "index provider", "acme:X")
    assert rows("dist-acme")["index provider 'fancy'"].problem.endswith("it lacks close")


def test_a_target_that_cannot_be_imported_has_a_traceback(site: Site) -> None:
    install(site, "data store", "module_that_is_nowhere:Store")
    row = rows("dist-acme")["data store 'fancy'"]
    assert "module_that_is_nowhere" in row.problem
    assert "Traceback" in row.traceback


def test_a_plugin_that_does_not_load_has_one_row_for_that(site: Site) -> None:
    site.install("bad", "import module_that_is_nowhere")
    report = [row for row in plugins.diagnose() if row.subject == "entry point"]
    (row,) = (row for row in report if row.plugin.distribution == "dist-bad")
    assert "module_that_is_nowhere" in row.problem


@pytest.mark.parametrize(
    "requires", ["atdata-core~=0.1.0", "atdata-core[sql] (~=0.1.3)", "Atdata_Core ~= 0.1.0; a > b"]
)
def test_a_plugin_for_another_minor_version_of_core_is_told_so(site: Site, requires: str) -> None:
    site.install("acme", provider("acme", "a:b"), requires=requires)
    install_core(site)
    problem = rows("dist-acme")["version"].problem
    assert problem.startswith("it is made for atdata-core 0.1, and ")


@pytest.mark.parametrize("requires", ["atdata-core~=0.8.0", "atdata-core>=0.1", "numpy~=0.1.0", ""])
def test_a_plugin_that_fits_core_is_not_told_otherwise(site: Site, requires: str) -> None:
    site.install("acme", provider("acme", "a:b"), requires=requires)
    install_core(site)
    assert rows("dist-acme")["version"].problem == ""


def test_what_the_allow_list_leaves_out_is_listed_and_not_imported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("bad", "raise AssertionError('imported')")
    monkeypatch.setenv("ATDATA_PLUGINS", "sqlite")
    report = rows("dist-bad")
    assert list(report) == ["left out by ATDATA_PLUGINS"]


def test_both_sides_of_a_conflict_have_a_row(site: Site) -> None:
    site.install("a", provider("shared", "collections:deque"))
    site.install("b", provider("shared", "collections:OrderedDict"))
    claimed = [row.plugin.entry_point for row in plugins.diagnose() if "is claimed" in row.problem]
    assert claimed == ["a", "b"]


def test_a_damaged_distribution_has_a_row(site: Site) -> None:
    site.write_metadata("dist-odd", "Metadata-Version: 2.1\n", "[atdata]\nodd = plugin_odd")
    (row,) = (row for row in plugins.diagnose() if row.subject == "metadata")
    assert str(site.path) in row.plugin.distribution


def test_core_comes_first_and_is_sound(site: Site) -> None:
    install_core(site)
    site.install("acme", provider("acme", "collections:deque"))
    report = plugins.diagnose()
    own = [row for row in report if row.plugin.entry_point == "core"]
    assert report[: len(own)] == own
    assert [row.problem for row in own] == [""] * len(own)


def test_core_has_the_version_of_its_distribution(site: Site) -> None:
    install_core(site)
    (core, *_) = plugins.diagnose()
    assert core.plugin.version == "0.8.1"
