"""A small index provider that is sound, made of parts that a broken one replaces."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

Records = dict[Key, bytes]


class Sound(IndexProvider):
    """All records in one file, which each commit replaces under a lock."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self.is_closed = False
        self.lock = ForkLock()

    def commit(self, ops: Iterable[Op]) -> None:
        self.check_open()
        ordered = self.check_ops(ops)
        with self.locked():
            self.apply(ordered)

    def check_ops(self, ops: Iterable[Op]) -> list[Op]:
        return check_ops(ops)

    def apply(self, ops: list[Op]) -> None:
        records = self.read()
        for op in ops:
            self.check_expectation(op, records.get(op.key))
        self.write(self.changed(records, ops))

    def check_expectation(self, op: Op, current: bytes | None) -> None:
        check_expectation(op, current)

    def changed(self, records: Records, ops: Iterable[Op]) -> Records:
        records = dict(records)
        for op in ops:
            if isinstance(op, Put):
                records[op.key] = op.value
            else:
                records.pop(op.key, None)
        return records

    def get(self, key: Key) -> bytes:
        self.check_open()
        self.check_key(key)
        try:
            return self.read()[key]
        except KeyError:
            raise NotFoundError(f"there is no record {key!r}", key=key) from None

    def check_key(self, key: Key) -> None:
        check_key(key)

    def scan(
        self,
        kind: str,
        name: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[Key, bytes]]:
        self.check_open()
        self.check_scan(kind, name, after, limit)
        records = self.read()
        found = [key for key in records if key.kind == kind and self.is_of(name, key)]
        found.sort(key=self.order, reverse=reverse)
        if after is not None:
            found = [key for key in found if self.is_behind(key, after, reverse=reverse)]
        return [(key, records[key]) for key in found[:limit]]

    def check_scan(self, kind: str, name: str | None, after: Key | None, limit: int | None) -> None:
        check_scan(kind, name, after, limit)

    def is_of(self, name: str | None, key: Key) -> bool:
        return name is None or key.name == name

    def order(self, key: Key) -> Any:
        return key

    def is_behind(self, key: Key, after: Key, *, reverse: bool) -> bool:
        left, right = self.order(key), self.order(after)
        return bool(left < right if reverse else left > right)

    def close(self) -> None:
        self.is_closed = True

    def check_open(self) -> None:
        if self.is_closed:
            raise StorageError(f"the index in {self.file} is closed")

    @contextmanager
    def locked(self) -> Iterator[None]:
        # The file's lock would stay with a child that is forked meanwhile.
        with self.lock, open(f"{self.file}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self) -> Records:
        try:
            rows = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {Key(*key): body.encode() for key, body in rows}

    def write(self, records: Records) -> None:
        # Of this process and thread alone: not all that is broken holds the lock.
        draft = Path(f"{self.file}.{os.getpid()}.{threading.get_ident()}")
        rows = [[key, body.decode()] for key, body in records.items()]
        draft.write_text(json.dumps(rows), encoding="utf-8")
        draft.replace(self.file)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self.file),)
