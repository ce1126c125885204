"""The index on each provider: publishing, inserting, getting and listing, small and large."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import atdata
from atdata.index import Index, Key, LocalDatasetEntry, Put
from benchmarks.measure import timed
from benchmarks.rows import Row

ONE_BY_ONE, AT_ONCE = "insert", "insert, 1,000 in one commit"
GET, LIST = "get by name", "list a page of 100"
OPERATIONS = ("publish a schema", ONE_BY_ONE, GET, LIST, AT_ONCE)
SMALL = 100
PAGE = 100
_CALLS = 100
_AT_ONCE = 1000
_FILLED = 2000


class Fields:
    array: NDArray[Any]
    label: int


@contextmanager
def _sqlite(folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    names = (folder / f"{number}.db" for number in count())
    yield lambda: {"path": next(names)}


@contextmanager
def _redis(folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    from tests.services.redis_server import running_launcher

    with running_launcher("the benchmark starts a server") as launcher:
        # As a careful operator has it: synced each second.
        yield lambda: {"url": launcher.start("--appendonly", "yes").url}


@contextmanager
def _postgres(folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    from tests.services.postgres_server import running_server

    with running_server("the benchmark starts a server") as server:
        yield lambda: {"dsn": server.place.fresh_dsn()}


_PLACES: dict[str, Callable[[Path], AbstractContextManager[Callable[[], dict[str, Any]]]]] = {
    "SQLite": _sqlite,
    "Redis": _redis,
    "PostgreSQL": _postgres,
}
PROVIDERS = tuple(_PLACES)


def measure(provider: str, folder: Path, large: int) -> Iterator[Row]:
    """Yield the seconds of each operation with 100 datasets in the index, and with many more."""
    folder.mkdir(parents=True)
    with _PLACES[provider](folder) as fresh:
        for size in (SMALL, large):
            with Index(**fresh()) as index:
                _fill(index, size)
                yield from _measure(provider, index, size)


def _measure(provider: str, index: Index, size: int) -> Iterator[Row]:
    for name, act, at_once in _operations(index, size):
        # The first call prepares statements and imports.
        act()
        calls = _CALLS // at_once or 3
        timing = timed(lambda act=act, calls=calls: [act() for _ in range(calls)])  # type: ignore[misc]
        yield Row(provider, f"index of {size:,}", name, calls * at_once, *timing)


def _operations(index: Index, size: int) -> Iterator[tuple[str, Callable[[], object], int]]:
    numbers = count()
    dataset = atdata.Dataset("data-{000..009}.tar", sample_type=_kind(0))
    ref = index.publish_schema(_kind(0))
    kinds = map(_kind, count(1))
    yield OPERATIONS[0], lambda: index.publish_schema(next(kinds)), 1
    yield (
        ONE_BY_ONE,
        lambda: index.add_entry(dataset, name=f"new {next(numbers)}", schema_ref=ref),
        1,
    )
    yield GET, lambda: index.get_dataset(_name(next(numbers) * 997 % size)), 1
    yield LIST, lambda: list(islice(index.datasets, PAGE)), 1
    # Behind all those that are there.
    starts = count(size, _AT_ONCE)
    yield AT_ONCE, lambda: _insert(index, next(starts), _AT_ONCE), _AT_ONCE


def _kind(number: int) -> type[Any]:
    return atdata.packable(type(f"Kind{number}", (Fields,), dict(vars(Fields))))


def _fill(index: Index, size: int) -> None:
    for start in range(0, size, _FILLED):
        _insert(index, start, min(size - start, _FILLED))


def _insert(index: Index, start: int, size: int) -> None:
    numbers = range(start, start + size)
    index.provider.commit([put for number in numbers for put in _puts(number)])


def _puts(number: int) -> Iterator[Put]:
    # What a thousand calls of add_entry leave, in one commit; real CIDs would take a minute.
    cid = f"bafyreifiller{number:012d}"
    entry = LocalDatasetEntry(
        _name(number), "atdata://local/schema/Kind0@1.0.0", [f"data-{number}.tar"], cid=cid
    ).stored(1)
    body = entry.to_record()
    yield Put(Key("dataset", entry.name, ""), body)
    yield Put(Key("revision", entry.name, "00000001"), body)
    pointer = json.dumps({"name": entry.name, "revision": 1}).encode()
    yield Put(Key("cid", cid, f"{entry.name}@00000001"), pointer)


def _name(number: int) -> str:
    return f"dataset {number:07d}"
