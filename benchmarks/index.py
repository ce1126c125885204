"""The index on SQLite: publishing, inserting, getting by name and listing, small and large."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import atdata
from atdata.index import Index, Key, LocalDatasetEntry, Put
from benchmarks.measure import timed
from benchmarks.rows import Row

OPERATIONS = ("publish a schema", "insert", "get by name", "list a page of 100")
SMALL = 100
PAGE = 100
_CALLS = 100
_AT_ONCE = 2000


class Fields:
    array: NDArray[Any]
    label: int


def measure(folder: Path, large: int) -> Iterator[Row]:
    """Yield the seconds of each operation with 100 datasets in the index, and with many more."""
    folder.mkdir(parents=True)
    for size in (SMALL, large):
        index = Index(path=folder / f"{size}.db")
        _fill(index, size)
        for name, act in zip(OPERATIONS, _operations(index, size), strict=True):
            # The first call prepares statements and imports.
            act()
            timing = timed(lambda act=act: [act() for _ in range(_CALLS)])  # type: ignore[misc]
            yield Row("atdata", f"index of {size:,}", name, _CALLS, *timing)


def _operations(index: Index, size: int) -> tuple[Callable[[], object], ...]:
    numbers = count()
    dataset = atdata.Dataset("data-{000..009}.tar", sample_type=_kind(0))
    ref = index.publish_schema(_kind(0))
    kinds = map(_kind, count(1))
    return (
        lambda: index.publish_schema(next(kinds)),
        lambda: index.add_entry(dataset, name=f"new {next(numbers)}", schema_ref=ref),
        lambda: index.get_dataset(_name(next(numbers) * 997 % size)),
        lambda: list(islice(index.datasets, PAGE)),
    )


def _kind(number: int) -> type[Any]:
    return atdata.packable(type(f"Kind{number}", (Fields,), dict(vars(Fields))))


def _fill(index: Index, size: int) -> None:
    for start in range(0, size, _AT_ONCE):
        numbers = range(start, min(size, start + _AT_ONCE))
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
