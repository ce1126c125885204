"""Datasets copied into an index from another one, with their schemas, and their shards if wanted.

A copy keeps when its original was stored. By that and its content it is recognised, so that copying
again changes nothing. Shards are compared with their digests on the way. What a copy that was
killed had put already is found by the next one, see `atdata.index.pending`.

What a stranger named stays a stranger's where its shards stay; shards that are copied are read by
the rules for strangers, and are one's own from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from atdata.dataset.loading import entry_source, entry_splits
from atdata.dataset.source import shard_ids
from atdata.dataset.url import redacted
from atdata.errors import (
    AtdataError,
    CorruptDataError,
    InvalidNameError,
    NotFoundError,
    ShardNotFoundError,
    StorageError,
)
from atdata.index.entry import LocalDatasetEntry
from atdata.index.names import check_dataset_name, to_path
from atdata.index.pending import PendingWrite
from atdata.index.rules import Rules
from atdata.index.schemas import LocalSchemaRecord, SchemaRegistry
from atdata.shards import write_all
from atdata.stores import DataStore, ShardInfo, shard_name

if TYPE_CHECKING:
    from atdata.index.datasets import DatasetRegistry
    from atdata.index.provider import IndexProvider
    from atdata.protocols import AbstractDataStore, AbstractIndex, IndexEntry

_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Part:
    """One shard to copy: where it is, its split, and what is known of it."""

    url: str
    split: str | None
    info: ShardInfo | None


class Recipient:
    """The index that datasets are copied to; without a store their shards stay where they are."""

    def __init__(
        self,
        provider: IndexProvider,
        datasets: DatasetRegistry,
        schemas: SchemaRegistry,
        store: AbstractDataStore | None,
        rules: Rules,
    ) -> None:
        if store is not None and not isinstance(store, DataStore):
            kind = type(store).__name__
            raise StorageError(f"a {kind} takes no whole shards; only atdata's own stores do")
        self._provider = provider
        self._datasets = datasets
        self._schemas = schemas
        self._store = store
        self._rules = rules

    def add(self, entry: IndexEntry, source: AbstractIndex) -> LocalDatasetEntry:
        """Copy one revision and return it as it is here, also if it was here already."""
        foreign = _is_foreign(entry, source)
        original = _to_local(entry, self._adopt_schema(entry.schema_ref, source), foreign=foreign)
        if (found := self._find(original)) is not None:
            return found
        if self._store is None:
            self._rules.check(original.data_urls, foreign=foreign)
        if self._store is None or (not foreign and _holds(self._store, original.data_urls)):
            return self._datasets.add(original, find=lambda: self._find(original))
        urls = [part.url for part in _parts(original)]
        opened = entry_source(entry, urls, source, self._rules.allow)
        return self._add_with_shards(self._store, original, opened)

    def _add_with_shards(
        self, store: DataStore, original: LocalDatasetEntry, opened: Any
    ) -> LocalDatasetEntry:
        prefix = to_path(original.name)
        with PendingWrite(self._provider, store, prefix, _content(original)) as pending:
            target = _Target(store, prefix, pending.token)
            urls = list(pending.watch(target.copy(_parts(original), opened)))
            copy = _moved(original, urls)
            found = self._datasets.add(copy, pending.end(), lambda: self._find(original))
        if found.data_urls != urls:
            # Another process has copied the same meanwhile.
            pending.discard()
        return found

    def _adopt_schema(self, ref: str, source: AbstractIndex) -> str:
        get_record = getattr(source, "get_schema_record", None)
        record = None if get_record is None else get_record(ref)
        if isinstance(record, LocalSchemaRecord):
            return self._schemas.adopt(record).ref
        return self._schemas.ensure(source.decode_schema(ref)).ref

    def _find(self, original: LocalDatasetEntry) -> LocalDatasetEntry | None:
        """Return the revision that is the same and, if shards are wanted here, has them here."""
        try:
            history = self._datasets.history(original.name)
        except NotFoundError:
            return None
        return next((one for one in history if _is_same(one, original) and self._has(one)), None)

    def _has(self, entry: LocalDatasetEntry) -> bool:
        return self._store is None or _holds(self._store, entry.data_urls)


@dataclass(frozen=True)
class _Target:
    """Where the shards of one copy go."""

    store: DataStore
    prefix: str
    token: str

    def copy(self, parts: Sequence[_Part], opened: Any) -> Iterator[str]:
        """Copy shards that are not there yet, and yield the URLs of all of them, in order.

        They are read from a source that has them in this order.
        """
        left = list(self.store.leftovers(self.prefix, self.token))
        for one in left:
            if one.kind != "shard":
                self.store.remove(one)
        there = {one.url.rpartition("/")[2]: one.url for one in left if one.kind == "shard"}
        for number, (shard, part) in enumerate(zip(shard_ids(opened), parts, strict=True)):
            name = shard_name(self._folder(part), self.token, number)
            url = there.get(name.rpartition("/")[2])
            yield url or self._copy_shard(name, opened.open_shard(shard), part)

    def _copy_shard(self, name: str, stream: IO[bytes], part: _Part) -> str:
        try:
            return self._spool_and_put(name, stream, part)
        except AtdataError:
            raise
        except OSError as error:
            # Of the spool, as a rule: the disk is full.
            shown, why = redacted(part.url), error.strerror or error
            raise StorageError(f"{shown} could not be copied: {why}", shard=shown) from error

    def _spool_and_put(self, name: str, stream: IO[bytes], part: _Part) -> str:
        sha256 = hashlib.sha256()
        with closing(stream), self.store.spool() as file:
            while data := stream.read(_CHUNK):
                sha256.update(data)
                write_all(file, data)
            if part.info is not None and sha256.hexdigest() != part.info.sha256:
                raise CorruptDataError(
                    f"the SHA-256 of {redacted(part.url)} is {sha256.hexdigest()}, "
                    f"{part.info.sha256} was written; nothing was registered",
                    shard=part.url,
                )
            return self.store.put(name, file)

    def _folder(self, part: _Part) -> str:
        return self.prefix if part.split is None else f"{self.prefix}/{to_path(part.split)}"


def _is_foreign(entry: IndexEntry, source: AbstractIndex) -> bool:
    """Tell whether the URLs of an entry came from a stranger, as those of unknown indexes may."""
    tell = getattr(source, "is_foreign", None)
    return bool(getattr(entry, "foreign", True) if tell is None else tell(entry))


def _to_local(entry: IndexEntry, schema_ref: str, *, foreign: bool) -> LocalDatasetEntry:
    """Return an entry of any index as one of this kind, not stored yet."""
    shards = getattr(entry, "shards", None)
    return LocalDatasetEntry(
        check_dataset_name(entry.name),
        schema_ref,
        entry.data_urls,
        entry.metadata,
        shards=shards,
        content_cid=getattr(entry, "content_cid", None),
        # Entries of other indexes may have an empty one.
        created_at=getattr(entry, "created_at", None) or None,
        foreign=foreign,
    )


def _parts(entry: LocalDatasetEntry) -> list[_Part]:
    if entry.shards is not None:
        return [_Part(shard.url, shard.split, shard) for shard in entry.shards]
    by_split = entry_splits(entry, ())
    return [_Part(url, split, None) for split, urls in by_split.items() for url in urls]


def _moved(original: LocalDatasetEntry, urls: Sequence[str]) -> LocalDatasetEntry:
    shards = original.shards
    if shards is not None:
        shards = [replace(shard, url=url) for shard, url in zip(shards, urls, strict=True)]
    return LocalDatasetEntry(
        original.name,
        original.schema_ref,
        urls,
        original.metadata,
        shards=shards,
        content_cid=original.content_cid,
        created_at=original.created_at,
    )


def _is_same(left: LocalDatasetEntry, right: LocalDatasetEntry) -> bool:
    """Tell whether two entries are one revision; where the digests are unknown, its time tells."""
    if right.created_at not in {left.created_at, None} or left.metadata != right.metadata:
        return False
    if left.shards is not None and right.shards is not None:
        return _digests(left.shards) == _digests(right.shards)
    return right.created_at is not None or left.data_urls == right.data_urls


def _digests(shards: Sequence[ShardInfo]) -> list[list[str | None]]:
    return [[shard.sha256, shard.split] for shard in shards]


def _content(entry: LocalDatasetEntry) -> str | None:
    """Return what an unfinished copy of the same is found by; None where no digests are known."""
    if entry.shards is None:
        return None
    what = json.dumps([entry.name, _digests(entry.shards)])
    return hashlib.sha256(what.encode()).hexdigest()


def _holds(store: DataStore, urls: Sequence[str]) -> bool:
    """Tell whether all these shards are in a store."""
    try:
        for url in urls:
            store.open(url).close()
    except (ShardNotFoundError, InvalidNameError):
        return False
    return True
