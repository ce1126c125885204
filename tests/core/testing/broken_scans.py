"""Index providers that confuse keys, or scan them with one fault each."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

from tests.core.testing.sound_provider import Records, Sound

from atdata.index.provider import Key, Op, Put


class OrderedByUTF16(Sound):
    def order(self, key: Key) -> Any:
        return [part.encode("utf-16-be") for part in key]


class OrderedIgnoringCase(Sound):
    def order(self, key: Key) -> Any:
        return [part.casefold() for part in key], key


class OrderedByNumber(Sound):
    """Versions by their numbers, as people would have them."""

    def order(self, key: Key) -> Any:
        return key[:2], [int(part) if part.isdigit() else -1 for part in key.version.split(".")]


class AfterInclusive(Sound):
    def is_behind(self, key: Key, after: Key, *, reverse: bool) -> bool:
        return key == after or super().is_behind(key, after, reverse=reverse)


class AfterMustExist(Sound):
    def is_behind(self, key: Key, after: Key, *, reverse: bool) -> bool:
        return after in self.read() and super().is_behind(key, after, reverse=reverse)


class AfterVersionOnly(Sound):
    def is_behind(self, key: Key, after: Key, *, reverse: bool) -> bool:
        return key.version < after.version if reverse else key.version > after.version


class IgnoringReverse(Sound):
    def scan(self, *args: Any, reverse: bool = False, **options: Any) -> list[tuple[Key, bytes]]:
        return super().scan(*args, **options)


class LimitingFirst(Sound):
    def scan(self, kind: str, name: str | None = None, **options: Any) -> list[tuple[Key, bytes]]:
        return [(key, body) for key, body in super().scan(kind, **options) if self.is_of(name, key)]


class ZeroAsNoLimit(Sound):
    def scan(self, *args: Any, limit: int | None = None, **options: Any) -> list[tuple[Key, bytes]]:
        return super().scan(*args, limit=limit or None, **options)


class Capped(Sound):
    def scan(self, *args: Any, limit: int | None = None, **options: Any) -> list[tuple[Key, bytes]]:
        return super().scan(*args, limit=1000 if limit is None else limit, **options)


class CountingPages(Sound):
    """Pages by position, which moves when others write."""

    position = -1

    def scan(
        self, *args: Any, after: Key | None = None, limit: int | None = None, **options: Any
    ) -> list[tuple[Key, bytes]]:
        start = 0 if after is None else self.position + 1
        found = super().scan(*args, **options)[start:][:limit]
        self.position = start + len(found) - 1
        return found


class TornPages(Sound):
    """Keys of one moment, values of later ones."""

    def scan(self, *args: Any, **options: Any) -> list[tuple[Key, bytes]]:
        found = [key for key, _ in super().scan(*args, **options)]
        return [(key, body) for key in found if (body := self.read().get(key)) is not None]


class Globbing(Sound):
    def is_of(self, name: str | None, key: Key) -> bool:
        return name is None or fnmatch.fnmatchcase(key.name, name)


class LikeScan(Sound):
    def is_of(self, name: str | None, key: Key) -> bool:
        pattern = None if name is None else name.replace("%", "*").replace("_", "?")
        return pattern is None or fnmatch.fnmatchcase(key.name, pattern)


class IgnoringCase(Sound):
    def changed(self, records: Records, ops: Iterable[Op]) -> Records:
        known = {self.folded(key): key for key in records}
        moved = [known.setdefault(self.folded(op.key), op.key) for op in ops]
        return super().changed(
            records, [self.move(op, key) for op, key in zip(ops, moved, strict=True)]
        )

    def move(self, op: Op, key: Key) -> Op:
        return Put(key, op.value, op.expect) if isinstance(op, Put) else op

    def folded(self, key: Key) -> Key:
        return Key(*(part.casefold() for part in key))


class Joining(Sound):
    """Keys as one text, which is taken apart again."""

    def changed(self, records: Records, ops: Iterable[Op]) -> Records:
        records = super().changed(records, ops)
        return {Key(*":".join(key).split(":", 2)): body for key, body in records.items()}
