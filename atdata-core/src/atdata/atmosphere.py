"""A documented import path of what ``atdata-atmosphere`` provides."""

from __future__ import annotations

from typing import Any

from atdata import plugins

_NAMES = frozenset(
    {"AtUri", "AtmosphereClient", "AtmosphereIndex", "AtmosphereIndexEntry", "BlobSource", "Client"}
    | {"DatasetLoader", "DatasetPublisher", "LensLoader", "LensPublisher", "PDSBlobStore"}
    | {"SchemaLoader", "SchemaPublisher", "discover", "mirror", "search"}
)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(plugins.official_module("atdata-atmosphere"), name)
