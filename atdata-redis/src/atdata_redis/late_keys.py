"""What earlier atdata releases write beside an index that is in use: taken over as it is found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from atdata.errors import ConflictError, NotFoundError, StorageError
from atdata.index.datasets import DatasetRegistry, scan_pages
from atdata.index.entry import LocalDatasetEntry
from atdata.index.old_rows import ENTRY_KEY, from_hash, leave, records_from_schemas, to_body
from atdata.index.provider import ABSENT, Key, Op, Put
from atdata_redis.old_keys import LABELS, PLACE, SCHEMAS, TAKEN, read, to_schemas
from atdata_redis.server import Server, to_map

if TYPE_CHECKING:
    from atdata.index.old_rows import OldEntry
    from atdata.index.provider import IndexProvider

# Looking for keys takes longer the more a server holds. So it has this share of the time at most,
# and may take so many seconds at once before it has to wait.
_SHARE: Final = 0.03
_MOST: Final = 0.02


class LateKeys:
    """Finds keys that earlier releases have written since the index was made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: set[str] = set()
        self._credit = _MOST
        self._at = time.monotonic()
        self._busy_in = 0

    def look(self, provider: IndexProvider) -> bool:
        """Take over what is new, and tell whether anything was; False if it is too soon to look."""
        begun = time.monotonic()
        credit = min(_MOST, self._credit + _SHARE * (begun - self._at))
        # What is asked of the provider meanwhile comes back here.
        if credit <= 0 or self._busy_in == os.getpid():
            return False
        self._busy_in = os.getpid()
        try:
            return self._take_over(provider)
        except StorageError as error:
            if error.details.get("code") != "NOPERM":
                raise
            # Who may only read has the index as others leave it.
            credit = float("-inf")
            return False
        finally:
            self._at = time.monotonic()
            self._credit = credit - (self._at - begun)
            self._busy_in = 0

    def _take_over(self, provider: IndexProvider) -> bool:
        if not self._known:
            self._known = {key.name for key, _ in scan_pages(provider, TAKEN)}
        registry = DatasetRegistry(provider)
        number = len(self._known)
        for cid, found in read(self._server, ENTRY_KEY, "HGETALL", self._known):
            row = from_hash(to_map(found), cid)
            self._take(f"{ENTRY_KEY}{cid}", provider, _adding(registry, row))
        for name, found in read(self._server, LABELS, "HGETALL", self._known):
            labelled = self._labelled(to_map(found))
            if labelled is not None:
                self._take(f"{LABELS}{name}", provider, _adding(registry, labelled))
        for name, found in read(self._server, SCHEMAS, "GET", self._known):
            self._take(f"{SCHEMAS}{name}", provider, _publishing(provider, name, found))
        return len(self._known) > number

    def _take(self, name: str, provider: IndexProvider, act: Callable[[Op], bool]) -> None:
        """Take over one key with a record that this was done; another process may be faster."""
        self._known.add(name)
        taken = Put(Key(TAKEN, name, ""), b"{}", ABSENT)
        try:
            if not act(taken):
                provider.commit([taken])
        except ConflictError:
            return
        except (ValueError, TypeError, OverflowError) as error:
            leave(name, PLACE, error)

    def _labelled(self, label: dict[bytes, bytes]) -> OldEntry | None:
        """Return the entry that a label leads to, under its name."""
        cid = label.get(b"cid", b"").decode(errors="replace")
        found = self._server.command("HGETALL", f"{ENTRY_KEY}{cid}") if cid else None
        if not found or b"name" not in label:
            return None
        return from_hash(to_map(found), cid)._replace(name=label[b"name"].decode(errors="replace"))


def _adding(registry: DatasetRegistry, row: OldEntry) -> Callable[[Op], bool]:
    """Return what adds a dataset as the next revision of its name, unless it is there."""

    def act(taken: Op) -> bool:
        entry = LocalDatasetEntry(**to_body(row, 1))
        try:
            history = registry.history(entry.name)
        except NotFoundError:
            history = []
        if any(one.cid == entry.cid for one in history):
            return False
        registry.add(entry, [taken])
        return True

    return act


def _publishing(provider: IndexProvider, name: str, text: Any) -> Callable[[Op], bool]:
    """Return what stores a schema, unless its version is there."""

    def act(taken: Op) -> bool:
        records = list(records_from_schemas(to_schemas({name: text}), PLACE))
        try:
            provider.commit([*(Put(key, body, ABSENT) for key, body in records), taken])
        except ConflictError as error:
            if error.details.get("key") == taken.key:
                raise
            return False
        return True

    return act
