"""A documented import path of the protocols."""

from __future__ import annotations

from atdata.protocols import AbstractDataStore, AbstractIndex, DataSource, IndexEntry, Packable

__all__ = ["AbstractDataStore", "AbstractIndex", "DataSource", "IndexEntry", "Packable"]
