"""What is installed: the entry points of the group ``atdata``, and what is found out about them."""

from __future__ import annotations

import functools
import os
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from atdata.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from importlib_metadata import EntryPoint, IDistribution

# A plugin is foreign code and may fail in any way, a call of sys.exit() included.
FAILURES = (Exception, SystemExit)


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group ``atdata`` and the distribution it belongs to."""

    entry_point: str
    module: str
    distribution: str

    @property
    def version(self) -> str:
        """Version of the distribution; empty where its metadata has none, as in a bare checkout."""
        # 27 ms, which a look-up of core's own names does without.
        import importlib_metadata

        try:
            return importlib_metadata.version(self.distribution)
        except (importlib_metadata.PackageNotFoundError, KeyError):
            return ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Finding:
    """One thing that was checked about a plugin; ``problem`` is empty where all is well."""

    plugin: Plugin
    subject: str
    problem: str = ""
    traceback: str = ""

    @classmethod
    def from_error(cls, plugin: Plugin, subject: str, error: BaseException) -> Finding:
        """Make a finding of an error that was caught."""
        text = "".join(traceback.format_exception(error))
        return cls(plugin, subject, summary(error), text)


class Scan(NamedTuple):
    """The entry points of all distributions, the allowed and the others, and what is damaged."""

    entry_points: dict[Plugin, EntryPoint]
    left_out: list[Plugin]
    unreadable: dict[Plugin, BaseException]


CORE = Plugin("core", "atdata.backends", "atdata-core")


@functools.cache
def scan() -> Scan:
    """Find the entry points of the group, once per process; imports no plugin."""
    # 27 ms, and not needed for core's own names.
    import importlib_metadata

    by_distribution: dict[str, dict[Plugin, EntryPoint]] = {}
    unreadable: dict[Plugin, BaseException] = {}
    for distribution in importlib_metadata.distributions():
        try:
            if found := _entry_points(distribution):
                # The first on the path is the one whose modules are imported.
                by_distribution.setdefault(distribution.name, found)
        except FAILURES as error:
            unreadable[Plugin("", "", f"a distribution in {distribution.locate_file('')}")] = error
    entry_points = {p: e for found in by_distribution.values() for p, e in found.items()}
    allowed = _allow_list(entry_points)
    return Scan(
        {plugin: entry_points[plugin] for plugin in allowed},
        [plugin for plugin in entry_points if plugin not in allowed],
        unreadable,
    )


def _entry_points(distribution: IDistribution) -> dict[Plugin, EntryPoint]:
    return {
        Plugin(entry_point.name, entry_point.value, distribution.name): entry_point
        for entry_point in distribution.entry_points.select(group="atdata")
        if entry_point.value != CORE.module
    }


def _allow_list(plugins: Iterable[Plugin]) -> list[Plugin]:
    listed = os.environ.get("ATDATA_PLUGINS")
    if listed is None:
        return list(plugins)
    allowed = {name.strip() for name in listed.split(",")}
    return [plugin for plugin in plugins if plugin.entry_point in allowed]


def requirements(plugin: Plugin) -> list[str]:
    """Return what the distribution of a plugin requires, if its metadata and core's are there."""
    # Loaded by the scan already.
    import importlib_metadata

    if not (plugin.version and CORE.version):
        return []
    return importlib_metadata.requires(plugin.distribution) or []


def summary(error: BaseException) -> str:
    """Say in one line what an error says."""
    if isinstance(error, PluginError):
        return str(error)
    return traceback.format_exception_only(error)[-1].strip()
