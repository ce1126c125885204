"""The record store that lives in memory: the reference for all others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import NoReturn

from atdata.errors import NotFoundError, StorageError
from atdata.forks import ForkLock
from atdata.index.provider import (
    IndexProvider,
    Key,
    Op,
    Put,
    check_expectation,
    check_key,
    check_ops,
    check_scan,
)


class _Records:
    """A sorted map that is replaced, never changed, once others can see it."""

    def __init__(self, keys: list[Key], values: dict[Key, bytes]) -> None:
        self.keys = keys
        self.values = values

    def with_ops(self, ops: list[Op]) -> _Records:
        keys, values = self.keys.copy(), self.values.copy()
        for op in ops:
            if isinstance(op, Put):
                if op.key not in values:
                    insort(keys, op.key)
                values[op.key] = op.value
            elif op.key in values:
                del keys[bisect_left(keys, op.key)]
                del values[op.key]
        return _Records(keys, values)

    def span(self, kind: str, name: str | None) -> tuple[int, int]:
        # No key holds NUL, so appending one gives the next possible string.
        start: tuple[str, ...] = (kind,) if name is None else (kind, name)
        stop = (*start[:-1], start[-1] + "\0")
        return bisect_left(self.keys, start), bisect_left(self.keys, stop)


class MemoryProvider(IndexProvider):
    """Keep records in this process; a forked child goes on with a copy of its own."""

    def __init__(self) -> None:
        self._records: _Records | None = _Records([], {})
        self._lock = ForkLock()

    @property
    def is_own(self) -> bool:
        """Do as `IndexProvider.is_own` says; it is."""
        return True

    def commit(self, ops: Iterable[Op]) -> None:
        """Do as `IndexProvider.commit` says."""
        ordered = check_ops(ops)
        with self._lock:
            records = self._open_records()
            for op in ordered:
                check_expectation(op, records.values.get(op.key))
            self._records = records.with_ops(ordered)

    def get(self, key: Key) -> bytes:
        """Do as `IndexProvider.get` says."""
        check_key(key)
        try:
            return self._open_records().values[key]
        except KeyError:
            raise NotFoundError(f"no record {key!r} in this index", key=key) from None

    def scan(
        self,
        kind: str,
        name: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[Key, bytes]]:
        """Do as `IndexProvider.scan` says."""
        check_scan(kind, name, after, limit)
        records = self._open_records()
        start, stop = records.span(kind, name)
        if after is not None and reverse:
            stop = min(stop, bisect_left(records.keys, after))
        elif after is not None:
            start = max(start, bisect_right(records.keys, after))
        keys = records.keys[start:stop]
        if reverse:
            keys.reverse()
        return [(key, records.values[key]) for key in keys[:limit]]

    def close(self) -> None:
        """Do as `IndexProvider.close` says."""
        with self._lock:
            self._records = None

    def __repr__(self) -> str:
        return "MemoryProvider()"

    def __reduce__(self) -> NoReturn:
        message = "an index in memory cannot be pickled; give the index a path, or share its server"
        raise TypeError(message)

    def _open_records(self) -> _Records:
        if self._records is None:
            raise StorageError("this index in memory is closed; open a new one")
        return self._records
