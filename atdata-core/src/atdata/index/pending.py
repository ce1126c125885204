"""Writes that have begun and are not registered yet, and what becomes of those that never are.

Before its first shard a writer commits ``write/{token}/``, which says where its shards go and which
process writes. The commit that registers the dataset also removes that record, expecting it as it
was. Whoever takes a writer for dead marks the record first, expecting the same. So either a dataset
is registered or its shards are removed, never both, whatever clocks and networks do: a writer that
was given up in error is refused at the end, and loses nothing but its work.

A writer on this machine is dead when its process is. Those elsewhere say in ``write/{token}/seen``
from time to time that they live; after a long silence they are taken for dead.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from atdata.errors import AtdataError, ConflictError, CorruptDataError, StorageError
from atdata.index.datasets import scan_pages
from atdata.index.processes import is_running, this_process
from atdata.index.provider import ABSENT, Delete, IndexProvider, Key, Op, Put, check_key
from atdata.stores import DataStore, Leftover, new_token

WRITE = "write"
SEEN = "seen"
BEAT_SECONDS = 300

T = TypeVar("T")


class PendingWrite:
    """A write by this process, from before its first shard until its dataset is registered.

    A context: left by an error it forgets the write, unless something of it could not be removed.
    ``ConflictError`` if the writer was given up meanwhile.
    """

    def __init__(
        self, provider: IndexProvider, store: DataStore, prefix: str, token: str | None = None
    ) -> None:
        # No record could hold some of what no store takes as a name either.
        check_key(Key(WRITE, prefix, ""))
        self.token = token or new_token()
        self._provider = provider
        self._store = store
        self._prefix = prefix
        self._key = Key(WRITE, self.token, "")
        record = {
            "id": uuid.uuid4().hex,
            "store": store.identify(),
            "prefix": prefix,
            "process": this_process(),
            "seen": _now(),
        }
        self._body = json.dumps(record).encode()
        self._due = time.monotonic() + BEAT_SECONDS

    def __enter__(self) -> Self:
        self._provider.commit([Put(self._key, self._body, ABSENT)])
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        self._settle()
        if isinstance(error, ConflictError) and error.details.get("key") == self._key:
            raise self._given_up() from error

    def watch(self, samples: Iterable[T]) -> Iterator[T]:
        """Yield samples, and say now and then that the writer lives."""
        for sample in samples:
            if time.monotonic() >= self._due:
                self.beat()
            yield sample

    def beat(self) -> None:
        """Say that the writer lives."""
        self._due = time.monotonic() + BEAT_SECONDS
        seen = json.dumps({"seen": _now()}).encode()
        ops = [Put(self._key, self._body, self._body), Put(Key(WRITE, self.token, SEEN), seen)]
        # The silence that matters is much longer than one that an outage makes.
        with suppress(StorageError):
            self._provider.commit(ops)

    def end(self) -> list[Op]:
        """Return what is to be done in the commit that registers the dataset."""
        return [Delete(self._key, self._body), Delete(Key(WRITE, self.token, SEEN))]

    def _settle(self) -> None:
        with suppress(AtdataError):
            if not any(self._store.leftovers(self._prefix, self.token)):
                self._provider.commit(self.end())

    def _given_up(self) -> ConflictError:
        return ConflictError(
            f"the write below {self._prefix!r} was given up, as nothing had been heard of it for "
            "too long; write it again",
            token=self.token,
        )


@dataclass(frozen=True)
class KnownWrite:
    """A write that some process has begun, as the index has it."""

    token: str
    body: bytes
    record: dict[str, Any]
    seen: dt.datetime

    @classmethod
    def from_bodies(cls, token: str, body: bytes, seen: bytes) -> KnownWrite:
        """Read a write from its record, and from the one that says when it was heard of last."""
        try:
            record = json.loads(body)
            last = dt.datetime.fromisoformat(json.loads(seen)["seen"])
            if last.tzinfo is None or not {"store", "prefix"} <= record.keys():
                raise ValueError("it does not say where or when")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            message = f"the record of write {token!r:.80} cannot be read: {error!r}"
            raise CorruptDataError(message, token=token) from error
        return cls(token, body, record, last)

    @property
    def store(self) -> str:
        """The store that its shards go to."""
        return str(self.record["store"])

    @property
    def is_given_up(self) -> bool:
        """Whether somebody has taken it for dead, so that it can never be registered."""
        return bool(self.record.get("given_up"))

    def is_dead(self, silence: dt.timedelta) -> bool:
        """Tell whether its process is gone, or has been silent that long if it is elsewhere."""
        if self.is_given_up:
            return True
        running = is_running(self.record.get("process"))
        if running is not None:
            return not running
        return dt.datetime.now(dt.UTC) - self.seen >= silence

    def give_up(self, provider: IndexProvider) -> bool:
        """Make sure that it is never registered; False if it was just now, or has gone on."""
        if self.is_given_up:
            return True
        body = json.dumps({**self.record, "given_up": True}).encode()
        try:
            provider.commit([Put(Key(WRITE, self.token, ""), body, self.body)])
        except ConflictError:
            return False
        return True

    def leftovers(self, store: DataStore) -> Iterator[Leftover]:
        """Yield what it has left in its store."""
        return store.leftovers(str(self.record["prefix"]), self.token)

    def forget(self, provider: IndexProvider) -> None:
        """Remove its records."""
        provider.commit([Delete(Key(WRITE, self.token, "")), Delete(Key(WRITE, self.token, SEEN))])


def known_writes(provider: IndexProvider) -> list[KnownWrite]:
    """Return all writes that have begun and are neither registered nor forgotten."""
    bodies: dict[str, dict[str, bytes]] = {}
    for key, body in scan_pages(provider, WRITE):
        bodies.setdefault(key.name, {})[key.version] = body
    return [
        KnownWrite.from_bodies(token, found[""], found.get(SEEN, found[""]))
        for token, found in bodies.items()
        if "" in found
    ]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
