"""Datasets: typed samples read from shards, batched, shuffled, viewed, exported, loaded by name."""

from __future__ import annotations

from atdata.dataset.batch import SampleBatch
from atdata.dataset.dataset import Dataset
from atdata.dataset.loading import load_dataset
from atdata.dataset.registered import Registered
from atdata.dataset.source import as_source
from atdata.dataset.splits import DatasetDict
from atdata.dataset.url import ShardSource, URLSource

__all__ = [
    "Dataset",
    "DatasetDict",
    "Registered",
    "SampleBatch",
    "ShardSource",
    "URLSource",
    "as_source",
    "load_dataset",
]
