"""Which record store the arguments of ``Index`` mean, and where its shards go by default."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from atdata import plugins
from atdata.index.provider import IndexProvider
from atdata.stores import LocalDiskStore

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


def open_provider(
    provider: str | IndexProvider | None, options: dict[str, Any]
) -> IndexProvider:
    """Open the record store that a provider's name or instance and its options mean.

    Raises:
        TypeError: the options contradict each other or the provider.
        PluginNotFoundError: no such provider is installed.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if provider is not None and not isinstance(provider, str):
        if options:
            raise TypeError(f"a provider that is open already takes no {', '.join(sorted(options))}")
        return provider
    spoken_of = {_PROVIDER_OF[name] for name in options if name in _PROVIDER_OF}
    official = set(_PROVIDER_OF.values())
    if len(spoken_of) > 1 or (provider in official and spoken_of - {provider}):
        given = [*([f"provider={provider!r}"] if provider else []), *(f"{name}=" for name in options)]
        raise TypeError(f"{' and '.join(given)} speak of different databases; give those of one")
    name = provider or (spoken_of.pop() if spoken_of else "sqlite")
    kind: Any = plugins.load("index provider", name)
    return kind(**options)  # type: ignore[no-any-return]


def default_store(path: str | os.PathLike[str] | None, owner: object) -> LocalDiskStore | None:
    """Return where the shards of an index without a store of its own go.

    Those of an index in a file go to ``data`` beside the file; those of a scratch index, which has
    neither file nor server, to a temporary folder that goes with ``owner`` or at exit.
    """
    if path is not None and str(path) != ":memory:":
        return LocalDiskStore(Path(path).expanduser().parent / "data")
    folder = tempfile.mkdtemp(prefix="atdata-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return LocalDiskStore(folder)
