"""Writing samples into a store for an index: several splits, all or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from atdata.errors import EmptyDatasetError, FieldError
from atdata.protocols import AbstractDataStore
from atdata.stores import Cut, DataStore, LocalDiskStore, ShardInfo


@dataclass(frozen=True)
class Written:
    """What was written: the type of the samples, and the shards of all splits in order."""

    sample_type: type[Any]
    shards: list[ShardInfo]


@contextmanager
def write_splits(
    store: DataStore, samples: Iterable[Any] | Mapping[str, Iterable[Any]], prefix: str, cut: Cut
) -> Iterator[Written]:
    """Write one stream of samples, or one per split, for the length of a ``with`` block.

    If writing or the block fails, the shards are removed again.
    """
    splits = samples if isinstance(samples, Mapping) else {None: samples}
    shards: list[ShardInfo] = []
    kinds: set[type[Any]] = set()
    try:
        for split, stream in splits.items():
            kind, typed = _peek(stream, prefix)
            kinds.add(kind)
            if len(kinds) > 1:
                raise FieldError(f"the splits of one dataset hold one type of samples, not {_names(kinds)}")
            where = f"{prefix}/{split}" if split else prefix
            shards += store.write_samples(typed, prefix=where, cut=cut, split=split)
        yield Written(kinds.pop(), shards)
    except BaseException:
        for shard in shards:
            store.delete(shard.url)
        raise


def _peek(samples: Iterable[Any], prefix: str) -> tuple[type[Any], Iterator[Any]]:
    stream = iter(samples)
    for first in stream:
        return type(first), chain([first], stream)
    raise EmptyDatasetError(f"there are no samples to write below {prefix!r}", prefix=prefix)


def _names(kinds: Iterable[type[Any]]) -> str:
    return " and ".join(sorted(kind.__name__ for kind in kinds))
