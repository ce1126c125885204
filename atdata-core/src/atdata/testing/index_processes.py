"""What the kits for indexes do in other processes, away from pytest, which is slow to import."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from atdata.dataset import Dataset
from atdata.errors import ConflictError
from atdata.index import Index
from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata.testing.children import Tell
from atdata.testing.readings import Reading

ROUND_KEYS = [Key("rounds", f"{number}", "") for number in range(5)]


# Far more than a hundred writers of ten records could meet by chance.
_MOST_CONFLICTS = 1000


@contextmanager
def opened(options: Mapping[str, Any]) -> Iterator[IndexProvider]:
    """Open a provider through the public door for as long as the block runs."""
    with closing(Index(**options).provider) as store:
        yield store


def append(store: IndexProvider, writer: str, count: int) -> None:
    """Append as writers of revisions do: look for the last, try the next, look again."""
    for number in range(count):
        body = json.dumps({"writer": writer, "number": number}).encode()
        _repeat(partial(_append_next, store, body))


def _append_next(store: IndexProvider, body: bytes) -> None:
    last = store.scan("k", "n", reverse=True, limit=1)
    version = int(last[0][0].version) + 1 if last else 1
    store.commit([Put(Key("k", "n", f"{version:08d}"), body, ABSENT)])


def increment(store: IndexProvider, key: Key, count: int) -> None:
    """Add one to the number in a record, again and again, losing no other writer's."""
    for _ in range(count):
        _repeat(partial(_increment_once, store, key))


def _increment_once(store: IndexProvider, key: Key) -> None:
    current = store.get(key)
    body = json.dumps({"n": json.loads(current)["n"] + 1}).encode()
    store.commit([Put(key, body, expect=current)])


def _repeat(act: Callable[[], None]) -> None:
    """Do something until no other writer was faster."""
    for _ in range(_MOST_CONFLICTS):
        try:
            return act()
        except ConflictError:
            continue
    raise AssertionError(f"a writer met {_MOST_CONFLICTS} conflicts in a row")


def publish_and_insert(options: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    """Publish ten versions of a schema, then five revisions of a dataset; say which they became."""
    with Index(**options) as index:
        references = [index.publish_schema(Reading) for _ in range(10)]
        datasets = [Dataset[Reading](f"https://example.org/{number}.tar") for number in range(5)]
        return references, [index.add_entry(ds, name="mine").revision for ds in datasets]


def put_and_list(store: IndexProvider, key: Key) -> list[Key]:
    """Use a handle that came from elsewhere: put one record, and return all keys of its kind."""
    with closing(store):
        store.commit([Put(key, b"{}", ABSENT)])
        return [key for key, _ in store.scan(key.kind)]


def open_put_and_list(options: Mapping[str, Any], key: Key) -> list[Key]:
    """Open a handle, put one record, and return all keys of its kind."""
    with opened(options) as store:
        return put_and_list(store, key)


def write_rounds(tell: Tell, options: Mapping[str, Any]) -> None:
    """Write the number of the round to all records of a kind in one commit, and tell it."""
    with opened(options) as store:
        number = 0
        while True:
            number += 1
            body = json.dumps({"n": number, "pad": "x" * 5000}).encode()
            store.commit(Put(key, body) for key in ROUND_KEYS)
            tell(number)
