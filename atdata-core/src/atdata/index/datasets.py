"""The datasets of an index: names, revisions and CIDs over the record store.

``dataset/{name}`` is the newest revision, ``revision/{name}/{number}`` each one of them, and
``cid/{cid}/{name}@{number}`` leads to them by content. All three are written in one commit, which
expects the newest revision to be the one that was read; whoever loses a race reads again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from atdata.errors import ConflictError, CorruptDataError, NotFoundError
from atdata.index.entry import LocalDatasetEntry
from atdata.index.names import check_dataset_name
from atdata.index.provider import ABSENT, Delete, IndexProvider, Key, Op, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DATASET = "dataset"
REVISION = "revision"
CID = "cid"
PAGE = 500


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
            revision = 1 if current is None else LocalDatasetEntry.from_record(current).revision + 1
            stored = entry.stored(revision)
            body = stored.to_record()
            pointer = json.dumps({"name": stored.name, "revision": revision}).encode()
            try:
                self._provider.commit(
                    [
                        Put(key, body, expect=ABSENT if current is None else current),
                        Put(_revision_key(stored.name, revision), body),
                        Put(_cid_key(stored), pointer),
                        *also,
                    ]
                )
            except ConflictError as error:
                if error.details.get("key") in {op.key for op in also}:
                    raise
                continue
            return stored

    def get(self, name: str, revision: int | None = None) -> LocalDatasetEntry:
        """Return the newest revision of a name, or a certain one."""
        key = Key(DATASET, name, "") if revision is None else _revision_key(name, revision)
        body = self._get(key)
        if body is None:
            raise _not_found(name, revision)
        return LocalDatasetEntry.from_record(body)

    def get_by_cid(self, cid: str) -> LocalDatasetEntry:
        """Return an entry with that CID; of several names that share it, the first."""
        # A scan without a name finds the records of all.
        found = self._provider.scan(CID, cid, limit=1) if cid else []
        if not found:
            raise NotFoundError(f"no dataset with CID {cid!r:.120} in this index", cid=cid)
        return self.get(*_read_pointer(found[0][1]))

    def iterate(self) -> Iterator[LocalDatasetEntry]:
        """Yield the newest revision of every name, by name, fetched in pages."""
        for _, body in scan_pages(self._provider, DATASET):
            yield LocalDatasetEntry.from_record(body)

    def history(self, name: str) -> list[LocalDatasetEntry]:
        """Return all revisions of a name, newest first."""
        # See above.
        found = self._provider.scan(REVISION, name, reverse=True) if name else []
        if not found:
            raise _not_found(name)
        return [LocalDatasetEntry.from_record(body) for _, body in found]

    def delete(self, name: str) -> None:
        """Forget a name with all its revisions; their shards stay where they are."""
        key = Key(DATASET, name, "")
        while True:
            newest = self._get(key)
            if newest is None:
                raise _not_found(name)
            ops: list[Op] = [Delete(key, expect=newest)]
            for revision, body in self._provider.scan(REVISION, name):
                ops += [Delete(revision), Delete(_cid_key(LocalDatasetEntry.from_record(body)))]
            try:
                self._provider.commit(ops)
            except ConflictError:
                continue
            return

    def _get(self, key: Key) -> bytes | None:
        try:
            return self._provider.get(key)
        except NotFoundError:
            return None


def scan_pages(provider: IndexProvider, kind: str) -> Iterator[tuple[Key, bytes]]:
    """Yield the records of a kind in key order, fetching a page at a time."""
    after: Key | None = None
    while page := provider.scan(kind, after=after, limit=PAGE):
        yield from page
        after = page[-1][0]


def _revision_key(name: str, revision: int) -> Key:
    # Padded so that key order is the order of revisions.
    return Key(REVISION, name, f"{revision:08d}")


def _cid_key(entry: LocalDatasetEntry) -> Key:
    return Key(CID, entry.cid, f"{entry.name}@{entry.revision:08d}")


def _read_pointer(body: bytes) -> tuple[str, int]:
    try:
        pointer = json.loads(body)
        return str(pointer["name"]), int(pointer["revision"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise CorruptDataError(f"a CID record of the index cannot be read: {error!r}") from error


def _not_found(name: str, revision: int | None = None) -> NotFoundError:
    which = f"dataset named {name!r}" if revision is None else f"revision {revision} of {name!r}"
    message = f"no {which} in this index; list_datasets() shows what there is"
    return NotFoundError(message, name=name)
