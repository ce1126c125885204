"""A documented import path of the index and its parts."""

from __future__ import annotations

from typing import Any

from atdata import stores
from atdata.index import Index, LocalDatasetEntry, LocalSchemaRecord

LocalIndex = Index

__all__ = ["Index", "LocalDatasetEntry", "LocalIndex", "LocalSchemaRecord", "S3DataStore"]


def __getattr__(name: str) -> Any:
    if name == "S3DataStore":
        return stores.S3DataStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
