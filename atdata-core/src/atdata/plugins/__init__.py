"""Plugins: what is installed, what it registered, and what is wrong with it.

A plugin is an entry point of the group ``atdata``. What fails in one is kept with its distribution
and traceback, and touches nothing but the names that are its own. Every function may be called
from any thread; a forked process inherits what its parent discovered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atdata.plugins.installed import Finding, Plugin
from atdata.plugins.loading import Kind, PluginWarning, Registration, register_commands, rescan
from atdata.plugins.lookup import load, names, official_module, problems

if TYPE_CHECKING:
    from atdata.plugins.doctor import diagnose

__all__ = [
    "Finding",
    "Kind",
    "Plugin",
    "PluginWarning",
    "Registration",
    "diagnose",
    "load",
    "names",
    "official_module",
    "problems",
    "register_commands",
    "rescan",
]


def __getattr__(name: str) -> Any:
    if name == "diagnose":
        from atdata.plugins.doctor import diagnose

        return diagnose
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
