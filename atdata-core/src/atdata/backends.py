"""Core's own backends, registered through the hooks that every plugin uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.hookspecs import hookimpl

if TYPE_CHECKING:
    from atdata.hookspecs import Register


@hookimpl
def register_index_providers(register: Register) -> None:
    """Register the provider that keeps records in memory."""
    register("memory", "atdata.index.memory:MemoryProvider")


@hookimpl
def register_data_stores(register: Register) -> None:
    """Register the store on the local disk."""
    register("disk", "atdata.stores.disk:LocalDiskStore")


@hookimpl
def register_data_sources(register: Register) -> None:
    """Register the source that reads files and web addresses."""
    for scheme in ("file", "http", "https"):
        register(scheme, "atdata.dataset.url:URLSource")


@hookimpl
def register_authorities(register: Register) -> None:
    """Register the user's own index, for ``@local/name``."""
    register("local", "atdata.index.default:open_local")
