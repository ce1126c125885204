"""The look-up of what plugins registered: which one owns a name, and why none does."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from atdata.errors import PluginConflictError, PluginLoadError, PluginNotFoundError
from atdata.plugins.installed import FAILURES, Finding, scan, summary
from atdata.plugins.loading import (
    Kind,
    LoadedPlugin,
    Registration,
    announce,
    command_findings,
    load_all,
    load_core,
    load_plugin,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

_OFFICIAL: dict[tuple[Kind, str], str] = {
    ("index provider", "sqlite"): "atdata-sqlite",
    ("index provider", "redis"): "atdata-redis",
    ("index provider", "postgres"): "atdata-postgres",
    ("data store", "s3"): "atdata-s3",
    ("data store", "atmosphere"): "atdata-atmosphere",
    ("data source", "s3"): "atdata-s3",
    ("data source", "at"): "atdata-atmosphere",
    ("authority", "@"): "atdata-atmosphere",
    ("authority", "at"): "atdata-atmosphere",
}


def load(kind: Kind, name: str) -> object:
    """Return the target registered under a name, importing its module now.

    Core's names are looked up first, then the entry point of that very name is loaded, then all
    others. Raises PluginNotFoundError, PluginConflictError, or PluginLoadError if the plugin that
    owns the name, or the target, cannot be imported.
    """
    registration = _find(kind, name)
    try:
        return resolve(registration)
    except FAILURES as error:
        raise PluginLoadError(
            f"{registration.import_string}, the {registration} of {registration.plugin}, cannot "
            f"be imported: {summary(error)}",
            kind=kind,
            requested=name,
            target=registration.import_string,
            distribution=registration.plugin.distribution,
        ) from error


def official_module(distribution: str) -> ModuleType:
    """Import the package of an official plugin, some of whose names are documented as core's.

    Raises PluginNotFoundError if it is not installed.
    """
    package = distribution.replace("-", "_")
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise PluginNotFoundError(
            f"{distribution} is not installed; `pip install {distribution}` provides it",
            requested=distribution,
        ) from error


def names(kind: Kind) -> list[Registration]:
    """Return the registrations of a kind that look-ups choose from, sorted by name.

    Loads every plugin. A name that two plugins claim is listed for each of them.
    """
    plugins = load_all()
    announce(plugins)
    return [
        claim for name in _known(plugins, kind) for claim in _foremost(_claims(plugins, kind, name))
    ]


def problems() -> list[Finding]:
    """Return what failed or clashed among the installed plugins; loads all, and never warns."""
    plugins = load_all()
    failed = [finding for one in plugins for finding in one.findings]
    return [*failed, *_conflicts(plugins), *command_findings.values()]


def resolve(registration: Registration) -> object:
    """Import the target of a registration; raises whatever its module raises."""
    target = registration.target
    return pkgutil.resolve_name(target) if isinstance(target, str) else target


def _find(kind: Kind, name: str) -> Registration:
    official = _OFFICIAL.get((kind, name))
    plugins: list[LoadedPlugin] = []
    for plugins in _stages(name):
        if claims := _foremost(_claims(plugins, kind, name)):
            announce(plugins)
            return _only(claims)
        for one in plugins:
            owner = one.plugin.entry_point == name or one.plugin.distribution == official
            if one.error and owner:
                raise _load_error(one) from one.error
    announce(plugins)
    raise _not_found(kind, name, plugins)


def _stages(name: str) -> Iterator[list[LoadedPlugin]]:
    yield [load_core()]
    yield [load_plugin(plugin) for plugin in scan().entry_points if plugin.entry_point == name]
    yield load_all()


def _claims(plugins: Iterable[LoadedPlugin], kind: Kind, name: str) -> list[Registration]:
    claims = {
        (r.plugin.distribution, r.import_string): r
        for one in plugins
        for r in one.registrations
        if (r.kind, r.name) == (kind, name)
    }
    return list(claims.values())


def _foremost(claims: list[Registration]) -> list[Registration]:
    # The entry point of that very name is found without loading any other, so it goes first even
    # when others are loaded: the answer must not depend on what was looked up before.
    return [claim for claim in claims if claim.plugin.entry_point == claim.name] or claims


def _known(plugins: Iterable[LoadedPlugin], kind: Kind) -> list[str]:
    return sorted({r.name for one in plugins for r in one.registrations if r.kind == kind})


def _only(claims: Sequence[Registration]) -> Registration:
    if len(claims) == 1:
        return claims[0]
    raise PluginConflictError(
        _conflict(claims),
        kind=claims[0].kind,
        requested=claims[0].name,
        distributions=tuple(claim.plugin.distribution for claim in claims),
    )


def _conflict(claims: Sequence[Registration]) -> str:
    owners = " and ".join(str(claim.plugin) for claim in claims)
    entry_points = sorted({claim.plugin.entry_point for claim in claims})
    remedy = "uninstall all but one"
    if len(entry_points) == len(claims):
        remedy += f", or list only one of {', '.join(entry_points)} in ATDATA_PLUGINS"
    return f"the {claims[0]} is claimed by {owners}; {remedy}"


def _conflicts(plugins: Sequence[LoadedPlugin]) -> Iterator[Finding]:
    for kind, name in {(r.kind, r.name): None for one in plugins for r in one.registrations}:
        claims = _claims(plugins, kind, name)
        foremost = _foremost(claims)
        for claim in claims:
            if claim not in foremost:
                owner = foremost[0].plugin
                problem = f"the name belongs to {owner}, whose entry point is called so"
                yield Finding(claim.plugin, str(claim), problem)
            elif len(foremost) > 1:
                yield Finding(claim.plugin, str(claim), _conflict(foremost))


def _not_found(kind: Kind, name: str, plugins: Sequence[LoadedPlugin]) -> PluginNotFoundError:
    known = _known(plugins, kind)
    sentence = f"no {kind} is named {name!r} (known: {', '.join(known)}){_remedy(kind, name)}"
    if broken := [str(one.plugin) for one in plugins if one.error]:
        sentence += f"; `atdata doctor` says why these failed: {', '.join(broken)}"
    return PluginNotFoundError(sentence, kind=kind, requested=name, known=tuple(known))


def _remedy(kind: Kind, name: str) -> str:
    official = _OFFICIAL.get((kind, name))
    for plugin in scan().left_out:
        if plugin.entry_point == name or plugin.distribution == official:
            return f"; {plugin} is installed, but ATDATA_PLUGINS leaves {plugin.entry_point} out"
    return f"; `pip install {official}` provides it" if official else ""


def _load_error(broken: LoadedPlugin) -> PluginLoadError:
    finding = broken.findings[0]
    return PluginLoadError(
        f"the plugin {broken.plugin.entry_point!r} of {broken.plugin} cannot be loaded: "
        f"{finding.problem}; repair or uninstall it",
        requested=broken.plugin.entry_point,
        distribution=broken.plugin.distribution,
        traceback=finding.traceback,
    )
