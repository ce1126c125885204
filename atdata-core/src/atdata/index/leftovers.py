"""What killed writers left in a store: found, and removed while others go on writing.

Nothing is judged by a shard's age. Only shards of writes that this index knows to have begun, whose
writer is dead, are leftovers; see `atdata.index.pending`. So indexes that share a store leave each
other's shards alone, as they do shards that were written without an index, and those of datasets
that were deleted from the index, which others may have copied or may still read by their URLs.

The index may hold records that somebody made up. What decides is the proof that a write's record
has of its token, see `atdata.index.known_writes`, and that no dataset names a shard. A record of a
dataset that cannot be read is taken to name the shards of every write whose token is in it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atdata.dataset.braces import expand_braces
from atdata.errors import InvalidNameError, LimitExceededError, StorageError
from atdata.index.datasets import DATASET, REVISION, read_entry, scan_pages
from atdata.index.known_writes import WRITE, KnownWrite, known_writes
from atdata.index.provider import Key
from atdata.index.unreadable import readable, report, shown
from atdata.stores import DataStore, Leftover

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider
    from atdata.protocols import AbstractDataStore

SHORTEST_SILENCE = dt.timedelta(hours=1)
SILENCE = dt.timedelta(days=1)

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORD = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True)
class Leftovers:
    """What was found: things to remove, writes still going on, and what to look at by hand.

    ``elsewhere`` names the stores, other than the one that was looked at, that dead writers of
    this index wrote to. ``unproven`` are shards of unfinished writes whose records do not prove
    that they began them, as those of earlier releases or forged ones: they stay. ``unreadable``
    are the keys of records that were passed over.
    """

    found: list[Leftover] = field(default_factory=list)
    at_work: int = 0
    elsewhere: list[str] = field(default_factory=list)
    unproven: list[Leftover] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def find_leftovers(
    provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
) -> Leftovers:
    """List what dead writers left in a store, and change nothing."""
    look = _Look(provider, store, silence)
    for write, left in look.left_by(look.dead):
        (look.seen.found if write.is_proven else look.seen.unproven).extend(left)
    look.seen.found.extend(look.store.abandoned())
    return look.seen


def delete_leftovers(
    provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
) -> Leftovers:
    """Remove what dead writers left in a store, and list it.

    A write is forgotten by the run that finds nothing of it any more, after one that gave it up.
    """
    look = _Look(provider, store, silence)
    # From here on none of them can be registered, so what no dataset names now, none ever will.
    given_up = [write for write in look.dead if write.give_up(provider)]
    for write, left in look.left_by(given_up):
        if write.is_proven:
            look.remove(left)
        else:
            look.seen.unproven.extend(left)
        # A writer that was given up in error may still put a shard, for the next run to find.
        if write.is_given_up and not left:
            write.forget(provider)
    look.remove(look.store.abandoned())
    return look.seen


class _Look:
    """One look at a store for the dead writes to it, with the report of what was seen."""

    def __init__(
        self, provider: IndexProvider, store: AbstractDataStore, silence: dt.timedelta
    ) -> None:
        if silence < SHORTEST_SILENCE:
            message = f"{silence} of silence say nothing of a writer; wait for an hour at least"
            raise ValueError(message)
        if not isinstance(store, DataStore):
            kind = type(store).__name__
            message = f"a {kind} cannot list what it holds; only leftovers in atdata's own are"
            raise StorageError(f"{message} known")
        self.store = store
        self._provider = provider
        unreadable: list[str] = []
        writes = known_writes(provider, lambda key, _: unreadable.append(shown(key)))
        dead = [write for write in writes if write.is_dead(silence)]
        here = store.identify() if dead else ""
        self.dead = [write for write in dead if write.store == here]
        self.seen = Leftovers(
            at_work=len(writes) - len(dead),
            elsewhere=sorted({write.store for write in dead if write.store != here}),
            unreadable=unreadable,
        )

    def left_by(self, writes: Iterable[KnownWrite]) -> list[tuple[KnownWrite, list[Leftover]]]:
        """Return what each write has left that no dataset of the index names."""
        left = [(write, list(self._left_by_one(write))) for write in writes]
        named = _Named()
        if any(found for _, found in left):
            named.read(self._provider, self.seen.unreadable)
        return [
            (write, [one for one in found if not named.holds(write, one)]) for write, found in left
        ]

    def remove(self, left: Iterable[Leftover]) -> None:
        """Remove leftovers and note them as found."""
        for one in left:
            self.store.remove(one)
            self.seen.found.append(one)

    def _left_by_one(self, write: KnownWrite) -> Iterator[Leftover]:
        try:
            yield from write.leftovers(self.store)
        except InvalidNameError as error:
            # The store could never have taken anything below that prefix.
            report(self._provider, Key(WRITE, write.token, ""), error)


class _Named:
    """The shards that any revision of any dataset names, or may name."""

    def __init__(self) -> None:
        self._urls: set[str] = set()
        self._words: set[str] = set()

    def read(self, provider: IndexProvider, unreadable: list[str]) -> None:
        """Look through all datasets; the keys of those that cannot be read are noted."""

        def passed(key: Key, body: bytes) -> None:
            unreadable.append(shown(key))
            self._words.update(_words(body.decode(errors="replace")))

        for kind in (DATASET, REVISION):
            for entry in readable(provider, scan_pages(provider, kind), read_entry, passed):
                for pattern in entry.data_urls:
                    self._add(pattern)

    def holds(self, write: KnownWrite, left: Leftover) -> bool:
        """Tell whether a dataset names this, or may name anything of the write."""
        return left.url in self._urls or write.token in self._words

    def _add(self, pattern: str) -> None:
        try:
            self._urls.update(expand_braces(pattern))
        except (InvalidNameError, LimitExceededError):
            self._words.update(_words(pattern))


def _words(text: str) -> list[str]:
    """Return the words of a text among which a token would be, also where it is escaped."""
    return _WORD.findall(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))
