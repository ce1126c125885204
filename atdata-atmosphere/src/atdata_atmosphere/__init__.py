"""Publishing and loading datasets on the AT Protocol network; everything loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from atdata.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

    from atdata.hookspecs import Register

_MODULES = {
    "AtUri": "uri",
    "AtmosphereClient": "client",
    "AtmosphereIndex": "index",
    "AtmosphereIndexEntry": "entry",
    "BlobSource": "sources",
    "DatasetLoader": "datasets",
    "DatasetPublisher": "datasets",
    "LensLoader": "lenses",
    "LensPublisher": "lenses",
    "PDSBlobStore": "blobs",
    "SchemaLoader": "schemas",
    "SchemaPublisher": "schemas",
    "discover": "discovery",
    "list_published": "commands",
    "mirror": "mirroring",
    "promote_to_atmosphere": "promotion",
    "search": "mirroring",
    "show_published": "commands",
}


@hookimpl
def register_data_stores(register: Register) -> None:
    """Register the store that keeps shards as blobs."""
    register("atmosphere", "atdata_atmosphere.blobs:PDSBlobStore")


@hookimpl
def register_data_sources(register: Register) -> None:
    """Register the source of ``at://did/blob/cid``."""
    register("at", "atdata_atmosphere.sources:BlobSource")


@hookimpl
def register_authorities(register: Register) -> None:
    """Register who answers for ``@handle/name`` and ``at://...``."""
    register("@", "atdata_atmosphere.authority:open_network")
    register("at", "atdata_atmosphere.authority:open_network")


@hookimpl
def register_commands(app: typer.Typer) -> None:
    """Add the commands that publish and find datasets."""
    # Loads typer, which the command line has loaded already.
    from atdata_atmosphere.commands import add_commands

    add_commands(app)


def __getattr__(name: str) -> Any:
    if name == "Client":
        name = "AtmosphereClient"
    if name == "_find_existing_schema":
        return importlib.import_module("atdata_atmosphere.promotion").find_existing_schema
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
