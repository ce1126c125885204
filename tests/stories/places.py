"""Where the stories happen: a place for every index provider and data store that is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.stories.processes import everywhere, in_process

from atdata import Index, plugins
from atdata.index.memory import MemoryProvider
from atdata.stores import DataStore

Options = dict[str, Any]
Make = Callable[[pytest.FixtureRequest, Path], Options]


@dataclass(frozen=True)
class Place:
    """An empty index and an empty store; a picklable value, unless they cannot be shared."""

    index: Options
    store_name: str
    store: Options
    is_shared: bool

    def open(self) -> Index:
        """Open the index with its store, as any colleague would."""
        return Index(**self.index, data_store=self.open_store())

    def open_store(self) -> DataStore:
        kind: Any = plugins.load("data store", self.store_name)
        store: DataStore = kind(**self.store)
        return store

    def elsewhere(self, act: Callable[..., Any], *args: Any) -> Any:
        """Return what a colleague gets: in another process, or in this one if none can come in."""
        return in_process(act, self, *args) if self.is_shared else act(self, *args)

    def everywhere(self, count: int, act: Callable[..., Any], *args: Any) -> list[Any]:
        """Return what several colleagues get who act at the same moment."""
        return everywhere(count, act, self, *args, processes=self.is_shared)


class _SharedMemory(MemoryProvider):
    """Records that everybody in this process has a handle on, so that nobody closes them."""

    def close(self) -> None:
        pass


def _memory(_request: pytest.FixtureRequest, _folder: Path) -> Options:
    return {"provider": _SharedMemory()}


def _sqlite(_request: pytest.FixtureRequest, folder: Path) -> Options:
    return {"path": folder / "index" / "index.db"}


def _redis(request: pytest.FixtureRequest, _folder: Path) -> Options:
    return {"url": request.getfixturevalue("redis_server").fresh_url()}


def _redis_cluster(request: pytest.FixtureRequest, _folder: Path) -> Options:
    cluster = request.getfixturevalue("redis_cluster")
    with cluster.client() as client:
        client.flushall()
    return {"url": cluster.url}


def _postgres(request: pytest.FixtureRequest, _folder: Path) -> Options:
    return {"dsn": request.getfixturevalue("postgres_server").fresh_dsn()}


def _disk(_request: pytest.FixtureRequest, folder: Path) -> Options:
    return {"root": folder / "shards"}


def _s3(request: pytest.FixtureRequest, _folder: Path) -> Options:
    return {**request.getfixturevalue("s3_server").fresh_bucket(), "prefix": "team/data"}


def _moto(request: pytest.FixtureRequest, _folder: Path) -> Options:
    return {**request.getfixturevalue("moto_server").fresh_bucket(), "prefix": "team/data"}


def _fsspec(_request: pytest.FixtureRequest, folder: Path) -> Options:
    return {"root": f"file://{folder}/fsspec"}


PROVIDERS: Mapping[str, Mapping[str, Make]] = {
    "memory": {"memory": _memory},
    "sqlite": {"sqlite": _sqlite},
    "redis": {"redis": _redis, "redis cluster": _redis_cluster},
    "postgres": {"postgres": _postgres},
}
STORES: Mapping[str, Mapping[str, Make]] = {
    "disk": {"disk": _disk},
    "s3": {"s3": _s3, "s3 on moto": _moto},
    "fsspec": {"fsspec": _fsspec},
}
# A colleague in another process would find nothing there.
NOT_SHARED = frozenset({"memory"})
# A blob can be fetched only once a record on the network names it, which no index here writes.
NOT_BY_ITSELF = frozenset({"atmosphere"})


def registered(kind: plugins.Kind) -> list[str]:
    """Return the names that plugins have registered."""
    return [one.name for one in plugins.names(kind) if one.name not in NOT_BY_ITSELF]


def variants(kind: plugins.Kind, known: Mapping[str, Mapping[str, Make]]) -> list[tuple[str, str]]:
    """Return pairs of a registered name and one of its places."""
    return [(name, place) for name in registered(kind) for place in known.get(name, ())]


def make_place(
    request: pytest.FixtureRequest, folder: Path, provider: tuple[str, str], store: tuple[str, str]
) -> Place:
    """Make an empty place in a folder or on the servers that fixtures give."""
    return Place(
        PROVIDERS[provider[0]][provider[1]](request, folder),
        store[0],
        STORES[store[0]][store[1]](request, folder),
        provider[0] not in NOT_SHARED,
    )
