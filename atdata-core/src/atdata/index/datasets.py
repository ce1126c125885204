"""The datasets of an index: names, revisions and CIDs over the record store.

``dataset/{name}`` is the newest revision, ``revision/{name}/{number}`` each one of them, and
``cid/{cid}/{name}@{number}`` leads to them by content. All three are written in one commit, which
expects the newest revision to be the one that was read; whoever loses a race reads again.

Records that cannot be read are passed over and reported, see `atdata.index.unreadable`; they are
an error only to those who ask for just these.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from atdata.errors import ConflictError, CorruptDataError, InvalidNameError, NotFoundError
from atdata.index.bodies import check_body
from atdata.index.entry import LocalDatasetEntry
from atdata.index.names import check_dataset_name, looked_up
from atdata.index.provider import (
    ABSENT,
    ANY,
    Delete,
    Expect,
    IndexProvider,
    Key,
    Op,
    Put,
    check_key,
)
from atdata.index.unreadable import readable, report, some_readable, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DATASET = "dataset"
REVISION = "revision"
CID = "cid"
PAGE = 500
# As many as fit the digits of a key.
MAX_REVISION = 99_999_999


class DatasetRegistry:
    """Stores and finds dataset entries; as safe for threads and processes as its provider."""

    def __init__(self, provider: IndexProvider) -> None:
        self._provider = provider

    def add(
        self,
        entry: LocalDatasetEntry,
        also: Sequence[Op] = (),
        find: Callable[[], LocalDatasetEntry | None] = lambda: None,
    ) -> LocalDatasetEntry:
        """Store an entry as the next revision of its name, and return it as stored.

        Further operations are done in the same commit; ``ConflictError`` if what one of them
        expects is not so. What ``find`` returns, looked for before each attempt, is there already:
        it is returned, and nothing is stored.
        """
        key = Key(DATASET, check_dataset_name(entry.name), "")
        while True:
            current = self._get(key)
            if (found := find()) is not None:
                return found
            stored, ops = self._next(key, current, entry)
            try:
                self._provider.commit([*ops, *also])
            except ConflictError as error:
                if error.details.get("key") in {op.key for op in also}:
                    raise
                continue
            return stored

    def _next(
        self, key: Key, current: bytes | None, entry: LocalDatasetEntry
    ) -> tuple[LocalDatasetEntry, list[Op]]:
        """Return an entry as the revision after the current one, and how it is stored."""
        try:
            revision = 1 if current is None else read_entry(key, current).revision + 1
            expected = ABSENT if current is None else current
            put_revision = ANY
        except CorruptDataError as error:
            # Nobody can have it expect what is there: its own number decides who is first.
            report(self._provider, key, error)
            revision, expected, put_revision = self._highest(key.name) + 1, ANY, ABSENT
        stored = entry.stored(revision)
        body = stored.to_record()
        pointer = json.dumps({"name": stored.name, "revision": revision}).encode()
        return stored, [
            Put(key, body, expect=expected),
            Put(_revision_key(stored.name, revision), body, expect=put_revision),
            Put(Key(CID, stored.cid, _pointer(stored.name, revision)), pointer),
        ]

    def _highest(self, name: str) -> int:
        """Return the highest number that a revision of a name bears, readable or not."""
        keys = (key for key, _ in self._provider.scan(REVISION, name))
        return max((_number(key.version) for key in keys), default=0)

    @looked_up
    def get(self, name: str, revision: int | None = None) -> LocalDatasetEntry:
        """Return the newest revision of a name, or a certain one."""
        key = Key(DATASET, name, "") if revision is None else _revision_key(name, revision)
        body = self._get(key)
        if body is None:
            raise _not_found(name, revision)
        return read_entry(key, body)

    @looked_up
    def get_by_cid(self, cid: str) -> LocalDatasetEntry:
        """Return an entry with that CID; of several names that share it, the first."""
        # A scan without a name finds the records of all.
        found = scan_pages(self._provider, CID, cid) if cid else iter(())
        passed: list[tuple[Key, CorruptDataError]] = []
        for key, _ in found:
            try:
                entry = self._pointed(key)
            except CorruptDataError as error:
                passed.append((key, error))
                continue
            except NotFoundError:
                continue
            for odd, problem in passed:
                report(self._provider, odd, problem)
            return entry
        if passed:
            raise passed[0][1]
        raise NotFoundError(f"no dataset with CID {cid!r:.120} in this index", cid=cid)

    def _pointed(self, key: Key) -> LocalDatasetEntry:
        """Return the entry that a record of its CID leads to: its key says all of it."""
        name, _, number = key.version.rpartition("@")
        entry = self.get(name, _number(number))
        if entry.cid != key.name:
            raise unreadable(key, f"it leads to a dataset with CID {entry.cid!r:.120}")
        return entry

    def iterate(self) -> Iterator[LocalDatasetEntry]:
        """Yield the newest revision of every name, by name, fetched in pages."""
        return readable(self._provider, scan_pages(self._provider, DATASET), read_entry)

    @looked_up
    def history(self, name: str) -> list[LocalDatasetEntry]:
        """Return all revisions of a name, newest first."""
        # See above.
        found = self._provider.scan(REVISION, name, reverse=True) if name else []
        if not found:
            raise _not_found(name)
        return some_readable(self._provider, found, read_entry)

    @looked_up
    def delete(self, name: str) -> None:
        """Forget a name with all its revisions; their shards stay where they are."""
        key = Key(DATASET, name, "")
        while True:
            newest = self._get(key)
            if newest is None:
                raise _not_found(name)
            ops: list[Op] = [Delete(key, expect=_expectation(newest))]
            revisions = self._provider.scan(REVISION, name)
            ops += [Delete(revision) for revision, _ in revisions]
            ops += [Delete(pointer) for pointer in self._pointers(name, revisions)]
            try:
                self._provider.commit(ops)
            except ConflictError:
                continue
            return

    def _pointers(self, name: str, revisions: list[tuple[Key, bytes]]) -> set[Key]:
        """Return the records of their CIDs that lead to revisions of a name."""
        try:
            entries = [read_entry(key, body) for key, body in revisions]
            pointers = {Key(CID, one.cid, _pointer(name, one.revision)) for one in entries}
            for pointer in pointers:
                check_key(pointer)
        except (CorruptDataError, InvalidNameError):
            # Which CIDs they are is not known, so all are looked at.
            found = scan_pages(self._provider, CID)
            return {key for key, _ in found if key.version.rpartition("@")[0] == name}
        return pointers

    def _get(self, key: Key) -> bytes | None:
        try:
            return self._provider.get(key)
        except NotFoundError:
            return None


def read_entry(key: Key, body: bytes) -> LocalDatasetEntry:
    """Read the record of a dataset or of a revision; ``CorruptDataError`` names its key."""
    try:
        entry = LocalDatasetEntry.from_record(body)
    except CorruptDataError as error:
        raise unreadable(key, error.__cause__) from error
    number = f"{entry.revision:08d}" if key.kind == REVISION else ""
    if (entry.name, number) != key[1:] or not 1 <= entry.revision <= MAX_REVISION:
        raise unreadable(key, "it bears the name or number of another")
    return entry


def scan_pages(
    provider: IndexProvider, kind: str, name: str | None = None
) -> Iterator[tuple[Key, bytes]]:
    """Yield the records of a kind, or of one name of it, in key order, a page at a time."""
    after: Key | None = None
    while page := provider.scan(kind, name, after=after, limit=PAGE):
        yield from page
        after = page[-1][0]


def _revision_key(name: str, revision: int) -> Key:
    # Padded so that key order is the order of revisions.
    return Key(REVISION, name, f"{revision:08d}")


def _pointer(name: str, revision: int) -> str:
    return f"{name}@{revision:08d}"


def _number(text: str) -> int:
    """Return the number that a key holds; 0, which no revision has, if it holds none."""
    return int(text) if re.fullmatch("[0-9]{8}", text) else 0


def _expectation(body: bytes) -> bytes | Literal[Expect.ANY]:
    """Return what a commit can expect of a record: its value, or anything if that is not JSON."""
    try:
        check_body(body)
    except CorruptDataError:
        return ANY
    return body


def _not_found(name: str, revision: int | None = None) -> NotFoundError:
    which = (
        f"dataset named {name!r:.300}"
        if revision is None
        else f"revision {revision} of {name!r:.300}"
    )
    message = f"no {which} in this index; list_datasets() shows what there is"
    return NotFoundError(message, name=name)
