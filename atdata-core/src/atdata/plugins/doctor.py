"""A check of all that is installed, in which every failure becomes a row."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from atdata.plugins.installed import CORE, FAILURES, Finding, Plugin, requirements, scan
from atdata.plugins.loading import Kind, LoadedPlugin, Registration, load_all
from atdata.plugins.lookup import problems, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NEEDS: dict[Kind, str] = {
    "index provider": "commit get scan close",
    "data store": "write_shards read_url supports_streaming",
    "data source": "from_urls open_shard list_shards|shard_list",
    "authority": "__call__",
}
_CORE_PIN = re.compile(r"atdata[-_.]core(?:\[[^]]*\])?\s*\(?~=\s*(\d+\.\d+)\.", re.IGNORECASE)


def diagnose() -> list[Finding]:
    """Check every plugin and import every target; core's rows come first, and nothing warns.

    A plugin that loads has a row for its entry point, for its version and for each registration.
    """
    rows = [row for one in load_all() for row in _rows(one)]
    rows += [Finding(plugin, "left out by ATDATA_PLUGINS") for plugin in scan().left_out]
    rows += problems()
    return sorted(rows, key=lambda row: (row.plugin != CORE, row.plugin.entry_point))


def _rows(one: LoadedPlugin) -> Iterator[Finding]:
    if one.error is None:
        yield Finding(one.plugin, "entry point")
    yield _check(one.plugin, "version", functools.partial(_version_problem, one.plugin))
    for registration in one.registrations:
        test = functools.partial(_target_problem, registration)
        yield _check(one.plugin, str(registration), test)


def _check(plugin: Plugin, subject: str, test: Callable[[], str]) -> Finding:
    try:
        return Finding(plugin, subject, test())
    except FAILURES as error:
        return Finding.from_error(plugin, subject, error)


def _target_problem(registration: Registration) -> str:
    target = resolve(registration)
    missing = [
        need
        for need in _NEEDS[registration.kind].split()
        if not any(callable(getattr(target, name, None)) for name in need.split("|"))
    ]
    # A class that inherits a contract has its methods, and yet cannot be made if it left one out.
    missing += sorted(getattr(target, "__abstractmethods__", ()))
    if not missing:
        return ""
    lacks = ", ".join(need.replace("|", " or ") for need in missing)
    return f"{registration.import_string} is no {registration.kind}: it lacks {lacks}"


def _version_problem(plugin: Plugin) -> str:
    for requirement in requirements(plugin):
        pin = _CORE_PIN.match(requirement)
        if pin and not f"{CORE.version}.".startswith(f"{pin[1]}."):
            return f"it is made for atdata-core {pin[1]}, and {CORE.version} is installed"
    return ""
