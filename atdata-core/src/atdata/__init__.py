"""Typed datasets for people who train models: samples, shards, lenses, and indexes of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from atdata.errors import AtdataError
from atdata.lens import Lens, LensNetwork, lens
from atdata.samples import DictSample, PackableSample, Schema, packable

if TYPE_CHECKING:
    from atdata import plugins
    from atdata.dataset import Dataset, DatasetDict, SampleBatch, URLSource, load_dataset
    from atdata.hookspecs import hookimpl
    from atdata.index import Index, LocalDatasetEntry, get_default_index, set_default_index
    from atdata.index import Index as LocalIndex
    from atdata.index.cids import generate_cid, verify_cid
    from atdata.protocols import (
        AbstractDataStore,
        AbstractIndex,
        DataSource,
        IndexEntry,
        Packable,
    )
    from atdata.stores import LocalDiskStore

__version__ = "0.8.0"

__all__ = [
    "AbstractDataStore",
    "AbstractIndex",
    "AtdataError",
    "DataSource",
    "Dataset",
    "DatasetDict",
    "DictSample",
    "Index",
    "IndexEntry",
    "Lens",
    "LensNetwork",
    "LocalDatasetEntry",
    "LocalDiskStore",
    "LocalIndex",
    "Packable",
    "PackableSample",
    "SampleBatch",
    "Schema",
    "URLSource",
    "generate_cid",
    "get_default_index",
    "hookimpl",
    "lens",
    "load_dataset",
    "packable",
    "set_default_index",
    "verify_cid",
]

# Where the names are that are imported when they are first asked for: all that a module needs that
# only defines samples and lenses is there at once.
_MODULES = {
    "atdata.dataset": ("Dataset", "DatasetDict", "SampleBatch", "URLSource", "load_dataset"),
    "atdata.hookspecs": ("hookimpl",),
    "atdata.index": ("Index", "LocalDatasetEntry", "get_default_index", "set_default_index"),
    "atdata.index.cids": ("generate_cid", "verify_cid"),
    "atdata.protocols": (
        "AbstractDataStore",
        "AbstractIndex",
        "DataSource",
        "IndexEntry",
        "Packable",
    ),
    "atdata.stores": ("LocalDiskStore",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_ALIASES = {"LocalIndex": "Index"}
_ROOMS = frozenset({"dataset", "index", "plugins", "protocols", "shards", "stores"})

# Names that plugins provide: what kind of backend they are, and under which name.
_FROM_PLUGINS: dict[str, tuple[plugins.Kind, str]] = {
    "S3DataStore": ("data store", "s3"),
    "S3Source": ("data source", "s3"),
    "PDSBlobStore": ("data store", "atmosphere"),
    "BlobSource": ("data source", "at"),
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"atdata.{name}")
    original = _ALIASES.get(name, name)
    if original in _MODULE_OF:
        found = getattr(import_module(_MODULE_OF[original]), original)
        globals()[name] = found
        return found
    if name in _FROM_PLUGINS:
        from atdata import plugins

        return plugins.load(*_FROM_PLUGINS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
