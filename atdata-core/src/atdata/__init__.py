"""Typed datasets for people who train models: samples, shards, lenses, and indexes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atdata import plugins
from atdata.dataset import Dataset, DatasetDict, SampleBatch, URLSource, load_dataset
from atdata.errors import AtdataError
from atdata.index import Index, LocalDatasetEntry, get_default_index, set_default_index
from atdata.index.cids import generate_cid, verify_cid
from atdata.lens import Lens, LensNetwork, lens
from atdata.protocols import (
    AbstractDataStore,
    AbstractIndex,
    DataSource,
    IndexEntry,
    Packable,
)
from atdata.samples import DictSample, PackableSample, Schema, packable
from atdata.stores import LocalDiskStore

if TYPE_CHECKING:
    from atdata.hookspecs import hookimpl

__version__ = "0.8.0"

LocalIndex = Index

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

# Names that plugins provide: what kind of backend they are, and under which name.
_FROM_PLUGINS: dict[str, tuple[plugins.Kind, str]] = {
    "S3DataStore": ("data store", "s3"),
    "S3Source": ("data source", "s3"),
    "PDSBlobStore": ("data store", "atmosphere"),
    "BlobSource": ("data source", "at"),
}


def __getattr__(name: str) -> Any:
    if name == "hookimpl":
        # pluggy costs 16 ms, and only plugins need the marker.
        from atdata.hookspecs import hookimpl

        return hookimpl
    if name in _FROM_PLUGINS:
        kind, backend = _FROM_PLUGINS[name]
        return plugins.load(kind, backend)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
