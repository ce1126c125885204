"""Data stores: where shards are written to. Those of plugins load when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atdata import plugins
from atdata.shards import ShardInfo
from atdata.stores.disk import LocalDiskStore
from atdata.stores.store import Cut, DataStore, Leftover, new_token, shard_name

if TYPE_CHECKING:
    S3DataStore: Any

__all__ = [
    "Cut",
    "DataStore",
    "Leftover",
    "LocalDiskStore",
    "S3DataStore",
    "ShardInfo",
    "new_token",
    "shard_name",
]

_FROM_PLUGINS = {"S3DataStore": "s3"}


def __getattr__(name: str) -> Any:
    if name in _FROM_PLUGINS:
        return plugins.load("data store", _FROM_PLUGINS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
