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
import secrets
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Self, TypeVar

from atdata.errors import AtdataError, ConflictError, StorageError
from atdata.index.known_writes import SEEN, WRITE, known_writes, token_of
from atdata.index.processes import this_process
from atdata.index.provider import ABSENT, Delete, IndexProvider, Key, Op, Put, check_key
from atdata.stores import DataStore

BEAT_SECONDS = 300
# After this silence a write elsewhere may be gone on with, which takes nothing away from it.
TAKE_UP_SILENCE = dt.timedelta(hours=1)

T = TypeVar("T")


class PendingWrite:
    """A write by this process, from before its first shard until its dataset is registered.

    A context: left by an error it forgets the write, unless something of it could not be removed.
    ``ConflictError`` if the writer was given up meanwhile.

    What is to be written may be told in ``content``. Then an earlier write of the same that came
    to nothing is taken up: it has the same token, so shards that it has put need not be put again.
    """

    def __init__(
        self, provider: IndexProvider, store: DataStore, prefix: str, content: str | None = None
    ) -> None:
        # No record could hold some of what no store takes as a name either.
        check_key(Key(WRITE, prefix, ""))
        self._provider = provider
        self._store = store
        self._prefix = prefix
        place, secret = store.identify(), secrets.token_hex(16)
        self.token = token_of(secret, place, prefix)
        self._record: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "secret": secret,
            "store": place,
            "prefix": prefix,
            "content": content,
            "process": this_process(),
            "seen": _now(),
        }
        self._body = json.dumps(self._record).encode()
        self._due = time.monotonic() + BEAT_SECONDS

    def __enter__(self) -> Self:
        if self._record["content"] is None or not self._take_up():
            self._provider.commit([Put(self._key, self._body, ABSENT)])
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        self._settle()
        if isinstance(error, ConflictError) and error.details.get("key") == self._key:
            raise self._given_up() from error

    @property
    def _key(self) -> Key:
        return Key(WRITE, self.token, "")

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

    def discard(self) -> None:
        """Remove what was written, and forget the write."""
        for left in self._store.leftovers(self._prefix, self.token):
            self._store.remove(left)
        self._provider.commit(self.end())

    def _take_up(self) -> bool:
        """Go on with an unfinished write of the same; one that then still lives is refused."""
        parts = ("store", "prefix", "content")
        for write in known_writes(self._provider):
            same = all(write.record.get(part) == self._record[part] for part in parts)
            # What a record cannot prove to be its own may be the shards of others.
            if not same or not write.is_proven or write.is_given_up:
                continue
            record = {**self._record, "secret": write.record["secret"]}
            body = json.dumps(record).encode()
            if write.is_dead(TAKE_UP_SILENCE) and write.replace(self._provider, body):
                self.token, self._record, self._body = write.token, record, body
                return True
        return False

    def withdraw(self) -> bool:
        """Make sure that it is never registered; False if it is already, or nobody can tell.

        Not even a commit that is still under way registers it from here on.
        """
        stopped = json.dumps({**self._record, "stopped": True}).encode()
        with suppress(AtdataError):
            try:
                self._provider.commit([Put(self._key, stopped, self._body)])
            except ConflictError:
                # Gone when it was registered; changed by whoever gave it up, which ends it too.
                return bool(self._provider.get(self._key))
            self._body = stopped
            return True
        return False

    def _settle(self) -> None:
        """Forget a write that failed, or say that nobody is at it any more."""
        if self.withdraw():
            with suppress(AtdataError):
                if not any(self._store.leftovers(self._prefix, self.token)):
                    self._provider.commit(self.end())

    def _given_up(self) -> ConflictError:
        return ConflictError(
            f"the write below {self._prefix!r} was given up, as nothing had been heard of it for "
            "too long, or was taken up by another process; do it again",
            token=self.token,
        )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
