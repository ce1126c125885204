"""Indexes: datasets and schemas by name, with versions, history and CIDs, over any record store."""

from __future__ import annotations

from atdata.index.default import get_default_index, set_default_index
from atdata.index.entry import LocalDatasetEntry
from atdata.index.index import Index
from atdata.index.provider import ABSENT, ANY, Delete, IndexProvider, Key, Put
from atdata.index.schemas import LocalSchemaRecord

__all__ = [
    "ABSENT",
    "ANY",
    "Delete",
    "Index",
    "IndexProvider",
    "Key",
    "LocalDatasetEntry",
    "LocalSchemaRecord",
    "Put",
    "get_default_index",
    "set_default_index",
]
