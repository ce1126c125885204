"""What killed writers left in a store: found, and removed while others go on writing.

Nothing is judged by a shard's age. Only shards of writes that this index knows to have begun, whose
writer is dead, are leftovers; see `atdata.index.pending`. So indexes that share a store leave each
other's shards alone, as they do shards that were written without an index, and those of datasets
that were deleted from the index, which others may have copied or may still read by their URLs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atdata.dataset.braces import expand_braces
from atdata.errors import StorageError
from atdata.index.datasets import DATASET, REVISION, scan_pages
from atdata.index.entry import LocalDatasetEntry
from atdata.index.pending import KnownWrite, known_writes
from atdata.stores import DataStore, Leftover

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider
    from atdata.protocols import AbstractDataStore

SHORTEST_SILENCE = dt.timedelta(hours=1)
SILENCE = dt.timedelta(days=1)


@dataclass(frozen=True)
class Leftovers:
    """What was found: things to remove, writes still going on, and stores to be looked at apart.

    ``elsewhere`` names the stores, other than the one that was looked at, that dead writers of
    this index wrote to.
    """

    found: list[Leftover] = field(default_factory=list)
    at_work: int = 0
    elsewhere: list[str] = field(default_factory=list)


def find_leftovers(
    provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
) -> Leftovers:
    """List what dead writers left in a store, and change nothing."""
    store, dead, seen = _look(provider, store, silence)
    for _, left in _left_by(provider, store, dead):
        seen.found.extend(left)
    seen.found.extend(store.abandoned())
    return seen


def delete_leftovers(
    provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
) -> Leftovers:
    """Remove what dead writers left in a store, and list it.

    A write is forgotten by the run that finds nothing of it any more, after one that gave it up.
    """
    store, dead, seen = _look(provider, store, silence)
    # From here on none of them can be registered, so what no dataset names now, none ever will.
    given_up = [write for write in dead if write.give_up(provider)]
    for write, left in _left_by(provider, store, given_up):
        _remove_all(store, left, seen)
        # A writer that was given up in error may still put a shard, for the next run to find.
        if write.is_given_up and not left:
            write.forget(provider)
    _remove_all(store, store.abandoned(), seen)
    return seen


def _look(
    provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
) -> tuple[DataStore, list[KnownWrite], Leftovers]:
    """Return the store, the dead writes to it, and a report that is still empty."""
    if silence < SHORTEST_SILENCE:
        message = f"{silence} of silence say nothing of a writer; wait for an hour at least"
        raise ValueError(message)
    if not isinstance(store, DataStore):
        kind = type(store).__name__
        message = f"a {kind} cannot list what it holds; only leftovers in atdata's own are known"
        raise StorageError(message)
    writes = known_writes(provider)
    dead = [write for write in writes if write.is_dead(silence)]
    here = store.identify() if dead else ""
    elsewhere = sorted({write.store for write in dead if write.store != here})
    seen = Leftovers(at_work=len(writes) - len(dead), elsewhere=elsewhere)
    return store, [write for write in dead if write.store == here], seen


def _left_by(
    provider: IndexProvider, store: DataStore, writes: list[KnownWrite]
) -> list[tuple[KnownWrite, list[Leftover]]]:
    left = [(write, list(write.leftovers(store))) for write in writes]
    named = _named_urls(provider) if any(found for _, found in left) else set()
    return [(write, [one for one in found if one.url not in named]) for write, found in left]


def _named_urls(provider: IndexProvider) -> set[str]:
    """Return the shards that any revision of any dataset names."""
    return {
        url
        for kind in (DATASET, REVISION)
        for _, body in scan_pages(provider, kind)
        for pattern in LocalDatasetEntry.from_record(body).data_urls
        for url in expand_braces(pattern)
    }


def _remove_all(store: DataStore, left: Iterable[Leftover], seen: Leftovers) -> None:
    for one in left:
        store.remove(one)
        seen.found.append(one)
