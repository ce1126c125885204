"""A documented import path of the index and its parts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from atdata import stores
from atdata.dataset import Dataset
from atdata.dataset.loading import entry_datasets
from atdata.index import Index, LocalDatasetEntry, LocalSchemaRecord

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    S3DataStore: Any

LocalIndex = Index

__all__ = ["Index", "LocalDatasetEntry", "LocalIndex", "LocalSchemaRecord", "Repo", "S3DataStore"]


class Repo:
    """An index whose shards are in S3; older than, and the same as, ``Index(data_store=...)``.

    ``hive_path`` is the bucket and, behind a slash, the prefix of all shards.
    """

    def __init__(
        self,
        s3_credentials: str | os.PathLike[str] | Mapping[str, str] | None = None,
        hive_path: str = "",
        redis: Any = None,
    ) -> None:
        bucket, _, self._prefix = hive_path.strip("/").partition("/")
        store = stores.S3DataStore(credentials=s3_credentials, bucket=bucket)
        end = (
            "" if redis is not None else "; without redis= what it registers ends with the process"
        )
        message = f"Repo is deprecated, use Index(data_store=S3DataStore(...)){end}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        self.index = Index(redis=redis, data_store=store)

    def insert(
        self, ds: Dataset[Any], *, name: str, **options: Any
    ) -> tuple[LocalDatasetEntry, Dataset[Any]]:
        """Write and register a dataset, and return its entry and the dataset as stored.

        The options are those of ``Index.insert_dataset``.
        """
        options.setdefault("prefix", self._prefix or None)
        entry = self.index.insert_dataset(ds, name=name, **options)
        [(_, stored)] = entry_datasets(entry, self.index, ds.sample_type).items()
        return entry, stored


def __getattr__(name: str) -> Any:
    if name == "S3DataStore":
        return stores.S3DataStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
