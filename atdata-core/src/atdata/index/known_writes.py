"""Writes that the index knows to have begun and not to have ended, as their records say.

Others may write such records too, so none is believed beyond what it can prove. A token is the
digest of a secret, of the store and of the prefix; only who began the write can have put that
secret into its record. So no record can be made up that bears the token of shards which somebody
else has written, whether in this index, in another one or in none.

Nothing is put into the store for this: writers that may not delete would leave it there for good,
and what is there before the commit tells nothing of what comes after it. So one thing remains: who
reads an index while a write is under way can copy its secret, and put the record back later.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from atdata.errors import ConflictError
from atdata.index.datasets import scan_pages
from atdata.index.processes import check_process, is_running
from atdata.index.provider import Delete, IndexProvider, Key, Put, check_key
from atdata.index.unreadable import MALFORMED, read_object, readable, unreadable
from atdata.stores import DataStore, Leftover

WRITE = "write"
SEEN = "seen"


def token_of(secret: str, store: str, prefix: str) -> str:
    """Return the token that a write to a place proves by its secret: 32 hex digits."""
    what = json.dumps([secret, store, prefix])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class KnownWrite:
    """A write that some process has begun, as the index has it."""

    token: str
    body: bytes
    record: dict[str, Any]
    seen: dt.datetime

    @classmethod
    def from_body(cls, key: Key, body: bytes, heard: dt.datetime | None) -> KnownWrite:
        """Read a write from its record; ``heard`` is when it was heard of since, if it was."""
        try:
            record = read_object(body)
            if not isinstance(record["store"], str) or not isinstance(record["prefix"], str):
                raise TypeError("it does not say where")
            check_key(Key(WRITE, record["prefix"], ""))
            check_process(record.get("process"))
            return cls(key.name, body, record, heard or _to_time(record["seen"]))
        except MALFORMED as error:
            raise unreadable(key, error) from error

    @property
    def store(self) -> str:
        """The store that its shards go to."""
        return str(self.record["store"])

    @property
    def prefix(self) -> str:
        """What the names of its shards begin with."""
        return str(self.record["prefix"])

    @property
    def is_proven(self) -> bool:
        """Whether the record was made by who began the write; earlier releases give no proof."""
        secret = self.record.get("secret")
        return isinstance(secret, str) and self.token == token_of(secret, self.store, self.prefix)

    @property
    def is_given_up(self) -> bool:
        """Whether somebody has taken it for dead, so that it can never be registered."""
        return bool(self.record.get("given_up"))

    def is_running(self) -> bool | None:
        """Tell whether somebody is at it; None if that cannot be told from here."""
        if self.record.get("stopped"):
            return False
        return is_running(self.record.get("process"))

    def is_dead(self, silence: dt.timedelta) -> bool:
        """Tell whether its process is gone, or has been silent that long if it is elsewhere."""
        if self.is_given_up:
            return True
        running = self.is_running()
        if running is not None:
            return not running
        return dt.datetime.now(dt.UTC) - self.seen >= silence

    def give_up(self, provider: IndexProvider) -> bool:
        """Make sure that it is never registered; False if it was just now, or has gone on."""
        body = json.dumps({**self.record, "given_up": True}).encode()
        return self.is_given_up or self.replace(provider, body)

    def replace(self, provider: IndexProvider, body: bytes) -> bool:
        """Change its record, unless somebody else has just done so."""
        key, seen = Key(WRITE, self.token, ""), Key(WRITE, self.token, SEEN)
        try:
            provider.commit([Put(key, body, self.body), Delete(seen)])
        except ConflictError:
            return False
        return True

    def leftovers(self, store: DataStore) -> Iterator[Leftover]:
        """Yield what it has left in its store."""
        return store.leftovers(self.prefix, self.token)

    def forget(self, provider: IndexProvider) -> None:
        """Remove its records."""
        provider.commit([Delete(Key(WRITE, self.token, "")), Delete(Key(WRITE, self.token, SEEN))])


def known_writes(
    provider: IndexProvider, passed: Callable[[Key, bytes], None] | None = None
) -> list[KnownWrite]:
    """Return all writes that have begun and are neither registered nor forgotten.

    Records that cannot be read are passed over and reported, and given to ``passed``.
    """
    begun: dict[Key, bytes] = {}
    beats: dict[Key, bytes] = {}
    for key, body in scan_pages(provider, WRITE):
        (beats if key.version else begun)[key] = body
    heard = dict(readable(provider, beats.items(), _read_beat, passed))

    def read(key: Key, body: bytes) -> KnownWrite:
        return KnownWrite.from_body(key, body, heard.get(key.name))

    return list(readable(provider, begun.items(), read, passed))


def _read_beat(key: Key, body: bytes) -> tuple[str, dt.datetime]:
    try:
        if key.version != SEEN:
            raise ValueError("no such record belongs to a write")
        return key.name, _to_time(read_object(body)["seen"])
    except MALFORMED as error:
        raise unreadable(key, error) from error


def _to_time(text: Any) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("its time has no offset")
    return time
