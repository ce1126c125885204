"""Loading plugins through pluggy, each isolated from the others, and keeping what they register."""

from __future__ import annotations

import functools
import importlib
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atdata.errors import PluginLoadError
from atdata.plugins.installed import CORE, FAILURES, Finding, Plugin, scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pluggy
    import typer

Kind = Literal["index provider", "data store", "data source", "authority"]

_HOOKS: dict[Kind, str] = {
    "index provider": "register_index_providers",
    "data store": "register_data_stores",
    "data source": "register_data_sources",
    "authority": "register_authorities",
}
# Look-ups are by the scheme of a URL, in lower case.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+")
_IMPORT_STRING = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


class PluginWarning(UserWarning):
    """A plugin cannot be used, wholly or in part."""


@dataclass(frozen=True)
class Registration:
    """A name, and the target that a plugin registered for it."""

    kind: Kind
    name: str
    target: object
    plugin: Plugin

    @property
    def import_string(self) -> str:
        """Where the target is, as ``module:attribute``."""
        if isinstance(self.target, str):
            return self.target
        named = self.target if hasattr(self.target, "__qualname__") else type(self.target)
        return f"{named.__module__}:{named.__qualname__}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(frozen=True)
class LoadedPlugin:
    """What came of loading a plugin: its hooks and registrations, or the error."""

    plugin: Plugin
    hooks: pluggy.HookRelay | None = None
    registrations: tuple[Registration, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: BaseException | None = None


command_findings: dict[Plugin, Finding] = {}
_loaded: dict[Plugin, LoadedPlugin] = {}
_announced: dict[Finding, object] = {}


def rescan() -> None:
    """Forget what was discovered, for a session in which a plugin was installed since."""
    importlib.invalidate_caches()
    scan.cache_clear()
    for cache in (command_findings, _loaded, _announced):
        cache.clear()


def register_commands(app: typer.Typer) -> None:
    """Let every plugin add its commands to the command line; one that fails warns."""
    plugins = load_all()
    for one in plugins:
        if one.hooks is None:
            continue
        try:
            one.hooks.register_commands(app=app)
        except FAILURES as error:
            command_findings[one.plugin] = Finding.from_error(one.plugin, "commands", error)
    announce(plugins)
    _warn(command_findings.values())


@functools.cache
def load_core() -> LoadedPlugin:
    """Load core's own backends, which need no installed metadata."""
    # Imports pluggy, 16 ms.
    from atdata import backends

    hooks = _hooks(backends)
    return LoadedPlugin(CORE, hooks, tuple(_registrations(CORE, hooks)))


def load_plugin(plugin: Plugin) -> LoadedPlugin:
    """Import the module of an entry point and let it register; never raises what it raises."""
    # No lock: held over an import it could deadlock with the import system's own locks, or in a
    # child forked meanwhile. Two threads may load one plugin twice; the first result is kept.
    return _loaded.get(plugin) or _loaded.setdefault(plugin, _load(plugin))


def load_all() -> list[LoadedPlugin]:
    """Load every plugin, core's own first; distributions that cannot be read are among them."""
    damaged = (_failed(plugin, "metadata", error) for plugin, error in scan().unreadable.items())
    return [load_core(), *map(load_plugin, scan().entry_points), *damaged]


def announce(plugins: Iterable[LoadedPlugin]) -> None:
    """Warn of what failed in these plugins, once in the life of the process."""
    _warn(finding for one in plugins for finding in one.findings)


def _warn(findings: Iterable[Finding]) -> None:
    for finding in findings:
        mine = object()
        if _announced.setdefault(finding, mine) is mine:
            plugin = finding.plugin
            warnings.warn(
                f"the plugin {plugin.entry_point!r} of {plugin} is not used for its "
                f"{finding.subject}: {finding.problem}; `atdata doctor` says more",
                PluginWarning,
                stacklevel=5,
            )


def _load(plugin: Plugin) -> LoadedPlugin:
    try:
        hooks = _hooks(scan().entry_points[plugin].load())
        registrations = _registrations(plugin, hooks)
    except FAILURES as error:
        return _failed(plugin, "entry point", error)
    core = {(r.kind, r.name): r.import_string for r in load_core().registrations}
    return LoadedPlugin(
        plugin,
        hooks,
        tuple(r for r in registrations if (r.kind, r.name) not in core),
        tuple(
            Finding(plugin, str(r), f"{r.import_string} may not replace core's {own}")
            for r in registrations
            if (own := core.get((r.kind, r.name)))
        ),
    )


def _failed(plugin: Plugin, subject: str, error: BaseException) -> LoadedPlugin:
    finding = Finding.from_error(plugin, subject, error)
    return LoadedPlugin(plugin, findings=(finding,), error=error)


def _hooks(module: object) -> pluggy.HookRelay:
    # 16 ms, when the first name is looked up.
    import pluggy

    from atdata import hookspecs

    # A manager for each plugin: in a shared one, a plugin that fails ends the call of a hook for
    # all, and one module under two entry points is refused.
    manager = pluggy.PluginManager("atdata")
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise PluginLoadError("it implements no hook; mark its functions with atdata.hookimpl")
    return manager.hook


def _registrations(plugin: Plugin, hooks: pluggy.HookRelay) -> list[Registration]:
    found: dict[tuple[Kind, str], Registration] = {}
    for kind, hook in _HOOKS.items():
        getattr(hooks, hook)(register=functools.partial(_register, found, plugin, kind))
    return list(found.values())


def _register(
    found: dict[tuple[Kind, str], Registration],
    plugin: Plugin,
    kind: Kind,
    name: object,
    target: object,
) -> None:
    if not (isinstance(name, str) and name):
        raise PluginLoadError(f"the name of a {kind} is a string that is not empty, not {name!r}")
    if kind == "data source" and not _SCHEME.fullmatch(name):
        raise PluginLoadError(f"a data source is named by a URL scheme such as 's3', not {name!r}")
    registration = Registration(kind, name, target, plugin)
    if isinstance(target, str) and not _IMPORT_STRING.fullmatch(target):
        raise PluginLoadError(f"the target of {registration} is 'module:attribute', not {target!r}")
    if (kind, name) in found:
        raise PluginLoadError(f"it registers the {registration} twice")
    found[kind, name] = registration
