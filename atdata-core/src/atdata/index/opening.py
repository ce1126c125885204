"""Which record store the arguments of ``Index`` mean, and where its shards go by default."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from atdata import plugins
from atdata.index.memory import MemoryProvider
from atdata.stores import LocalDiskStore

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider
    from atdata.protocols import AbstractDataStore

# Which provider an argument speaks of, where none is named.
_PROVIDER_OF = {
    "path": "sqlite",
    "dsn": "postgres",
    "redis": "redis",
    "url": "redis",
    "host": "redis",
    "port": "redis",
    "db": "redis",
}
_OFFICIAL = frozenset({"memory", *_PROVIDER_OF.values()})
_SCRATCH = frozenset({"memory", "sqlite"})


def open_provider(
    provider: str | IndexProvider | None, options: Mapping[str, Any]
) -> IndexProvider:
    """Open the record store that a provider's name or instance and its options mean.

    Raises:
        TypeError: the options contradict each other or the provider.
        PluginNotFoundError: no such provider is installed.
    """
    if provider is not None and not isinstance(provider, str):
        if options:
            given = ", ".join(sorted(options))
            raise TypeError(f"a provider that is open already takes no {given}")
        return provider
    redis = options.get("redis")
    if isinstance(redis, str | os.PathLike):
        message = (
            f"redis=, also the first argument, is a Redis client, not a {type(redis).__name__}"
        )
        raise TypeError(f"{message}; give a file as path=, an address of Redis as url=")
    if "://" in str(options.get("path", "")):
        # It would become a folder that is called like the password.
        message = "path= is a file, not a URL; give an address of PostgreSQL as dsn=, of Redis as"
        raise TypeError(f"{message} url=, and an SQLite file without sqlite://")
    kind: Any = plugins.load("index provider", _chosen_name(provider, options))
    return cast("IndexProvider", kind(**options))


def _chosen_name(provider: str | None, options: Mapping[str, Any]) -> str:
    meant = {_PROVIDER_OF[name] for name in options if name in _PROVIDER_OF}
    if len(meant) > 1 or (provider in _OFFICIAL and meant - {provider}):
        given = [f"{name}=" for name in options]
        if provider is not None:
            given.insert(0, f"provider={provider!r}")
        raise TypeError(f"{' and '.join(given)} speak of different databases; give those of one")
    return provider or (meant.pop() if meant else "sqlite")


def check_forgotten(options: Mapping[str, Any]) -> None:
    """Refuse addresses that are all None, lest an unset variable means an index in memory."""
    if forgotten := [f"{name}=" for name in options if name in _PROVIDER_OF]:
        message = f"{' and '.join(forgotten)} is None; give an address, or leave it out for an"
        raise TypeError(f"{message} index that goes with the process")


def check_store(store: AbstractDataStore | None) -> AbstractDataStore | None:
    """Return a store that is given; ``TypeError`` if it is none."""
    if store is not None and not hasattr(store, "write_shards"):
        kind = type(store).__name__
        raise TypeError(f"data_store= is a store such as LocalDiskStore(folder), not a {kind}")
    return store


def own_store(
    provider: str | IndexProvider | None, options: Mapping[str, Any]
) -> LocalDiskStore | None:
    """Return the store of an index that is given none; None if the index goes with the process.

    Shards of an index in a file go to ``data`` beside the file, those of an index on a server to
    the user's own folder.
    """
    path = options.get("path")
    if path is not None and str(path) != ":memory:":
        return LocalDiskStore(Path(path).expanduser().parent / "data")
    if isinstance(provider, str | None):
        is_scratch = _chosen_name(provider, options) in _SCRATCH
    else:
        is_scratch = isinstance(provider, MemoryProvider)
    return None if is_scratch else LocalDiskStore()


def scratch_store() -> LocalDiskStore:
    """Open a store in a temporary folder, which is removed at exit: entries outlive their index."""
    folder = tempfile.mkdtemp(prefix="atdata-")
    atexit.register(_remove_own, folder, os.getpid())
    return LocalDiskStore(folder)


def _remove_own(folder: str, process: int) -> None:
    # A forked child must not take its parent's shards along when it ends.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
