"""Writing samples into a store for an index: several splits, all or none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from atdata.dataset import Dataset
from atdata.errors import EmptyDatasetError, FieldError, ShardNotFoundError, StorageError
from atdata.index.cids import content_cid
from atdata.index.entry import LocalDatasetEntry
from atdata.index.names import to_path
from atdata.index.pending import PendingWrite
from atdata.protocols import AbstractDataStore
from atdata.samples import Schema
from atdata.stores import Cut, DataStore, LocalDiskStore, ShardInfo

Samples = Iterable[Any] | Mapping[str, Iterable[Any]]


@dataclass(frozen=True)
class Written:
    """What was written: the type of the samples, and the shards of all splits in order.

    Stores that are not ours only tell URLs, so ``shards`` is None there.
    """

    sample_type: type[Any]
    urls: list[str]
    shards: list[ShardInfo] | None = None

    def to_entry(
        self, name: str, schema_ref: str, metadata: Mapping[str, Any] | None
    ) -> LocalDatasetEntry:
        """Return the entry under which an index finds this again."""
        digests = None if self.shards is None else [shard.sha256 for shard in self.shards]
        fields = Schema.from_type(self.sample_type).to_fields()
        return LocalDatasetEntry(
            name,
            schema_ref,
            self.urls,
            metadata,
            shards=self.shards,
            content_cid=None if digests is None else content_cid(fields, digests),
        )


def discard(store: DataStore, written: Written) -> None:
    """Remove what was written."""
    _remove(store, written.shards or [])


def write_splits(
    store: DataStore, samples: Samples, prefix: str, cut: Cut, pending: PendingWrite | None = None
) -> Written:
    """Write one stream of samples, or one per split, as shards below a prefix.

    If anything fails, no shard stays.
    """
    shards: list[ShardInfo] = []
    kinds: set[type[Any]] = set()
    try:
        for split, stream in _splits_of(samples):
            kind, typed = _peek(stream, prefix)
            kinds.add(kind)
            if len(kinds) > 1:
                names = " and ".join(sorted(kind.__name__ for kind in kinds))
                raise FieldError(f"the splits of one dataset hold one type of samples, not {names}")
            token = None if pending is None else pending.token
            watched = typed if pending is None else pending.watch(typed)
            where = _folder(prefix, split)
            shards += store.write_samples(watched, prefix=where, cut=cut, split=split, token=token)
        if not shards:
            raise _empty(prefix)
    except BaseException:
        _remove(store, shards)
        raise
    return Written(kinds.pop(), [shard.url for shard in shards], shards)


def write_elsewhere(
    store: AbstractDataStore, samples: Samples, prefix: str, options: Mapping[str, Any]
) -> Written:
    """Write through a store that takes only datasets: what is none is spooled to disk first."""
    if isinstance(samples, Dataset):
        urls = store.write_shards(samples, prefix=prefix, **options)
        return Written(samples.sample_type, list(urls))
    written: list[str] = []
    with tempfile.TemporaryDirectory(prefix="atdata-") as folder:
        spooled = write_splits(LocalDiskStore(folder), samples, "spool", Cut())
        by_split: dict[str | None, list[str]] = {}
        for shard in spooled.shards or ():
            by_split.setdefault(shard.split, []).append(shard.url)
        for split, own in by_split.items():
            ds = Dataset(own, sample_type=spooled.sample_type)
            written += store.write_shards(ds, prefix=_folder(prefix, split), **options)
    return Written(spooled.sample_type, written)


def _splits_of(samples: Samples) -> Iterable[tuple[str | None, Iterable[Any]]]:
    return samples.items() if isinstance(samples, Mapping) else [(None, samples)]


def _folder(prefix: str, split: str | None) -> str:
    return prefix if split is None else f"{prefix}/{to_path(split)}"


def _peek(samples: Iterable[Any], prefix: str) -> tuple[type[Any], Iterator[Any]]:
    stream = iter(samples)
    for first in stream:
        return type(first), chain([first], stream)
    raise _empty(prefix)


def _empty(prefix: str) -> EmptyDatasetError:
    return EmptyDatasetError(f"there are no samples to write below {prefix!r}", prefix=prefix)


def _remove(store: DataStore, shards: Iterable[ShardInfo]) -> None:
    for shard in shards:
        # The caller must hear of the first failure, not of what cannot be tidied up after it.
        with suppress(StorageError, ShardNotFoundError):
            store.delete(shard.url)
