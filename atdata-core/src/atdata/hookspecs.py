"""The hooks a plugin may implement, and the markers that tell them apart from other functions.

An entry point of the group ``atdata`` names a module with functions marked ``hookimpl``. Such a
module should import nothing heavy: the targets it registers are imported when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    import typer

hookspec = pluggy.HookspecMarker("atdata")
hookimpl = pluggy.HookimplMarker("atdata")


class Register(Protocol):
    """What a hook is given to register with."""

    def __call__(self, name: str, target: object) -> None:
        """Register an object, or the import string ``"module:attribute"`` of one, under a name."""


@hookspec
def register_index_providers(register: Register) -> None:
    """Register record stores, classes with ``commit get scan close``, by the provider's name."""


@hookspec
def register_data_stores(register: Register) -> None:
    """Register data stores by name: any `DataStore`, or what has its documented methods."""


@hookspec
def register_data_sources(register: Register) -> None:
    """Register data sources, classes with ``from_urls list_shards open_shard``, by URL scheme."""


@hookspec
def register_authorities(register: Register) -> None:
    """Register the opener of an index by who it answers for: ``x`` of ``@x/``, ``@`` or ``at``."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands, or groups of them, to the ``atdata`` command line."""
