"""Plugins: what is installed, what it registered, and what is wrong with it.

A plugin is an entry point of the group ``atdata``. What fails in one is kept with its distribution
and traceback, and touches nothing but the names that are its own. Every function may be called
from any thread; a forked process inherits what its parent discovered.
"""

from __future__ import annotations

from atdata.plugins.doctor import diagnose
from atdata.plugins.installed import Finding, Plugin
from atdata.plugins.loading import Kind, PluginWarning, Registration, register_commands, rescan
from atdata.plugins.lookup import load, names, official_module, problems

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
