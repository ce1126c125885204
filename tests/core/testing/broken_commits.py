"""Index providers that read and write with one fault each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from tests.core.testing.sound_provider import Records, Sound

from atdata.errors import ConflictError, NotFoundError, StorageError
from atdata.index.provider import Key, Op, check_ops


class IgnoringExpectations(Sound):
    def check_expectation(self, op: Op, current: bytes | None) -> None:
        pass


class ComparingBytes(Sound):
    def check_expectation(self, op: Op, current: bytes | None) -> None:
        if isinstance(op.expect, bytes) and op.expect != current:
            raise ConflictError("not the same bytes", key=op.key)
        super().check_expectation(op, current)


class ComparingLoosely(Sound):
    def check_expectation(self, op: Op, current: bytes | None) -> None:
        if isinstance(op.expect, bytes) and current is not None:
            # To Python true and 1 are equal.
            if json.loads(op.expect) != json.loads(current):
                raise ConflictError("another value", key=op.key)
        else:
            super().check_expectation(op, current)


class ConflictAsStorageError(Sound):
    def check_expectation(self, op: Op, current: bytes | None) -> None:
        try:
            super().check_expectation(op, current)
        except ConflictError as error:
            raise StorageError("constraint failed") from error


class NamelessConflict(Sound):
    def check_expectation(self, op: Op, current: bytes | None) -> None:
        try:
            super().check_expectation(op, current)
        except ConflictError:
            raise ConflictError("something is not as expected") from None


class NotAtomic(Sound):
    def apply(self, ops: list[Op]) -> None:
        records = self.read()
        try:
            for op in ops:
                self.check_expectation(op, records.get(op.key))
                records = self.changed(records, [op])
        finally:
            self.write(records)


class Dribbling(Sound):
    def apply(self, ops: list[Op]) -> None:
        records = self.read()
        for op in ops:
            self.check_expectation(op, records.get(op.key))
        for op in ops:
            records = self.changed(records, [op])
            self.write(records)
            time.sleep(0.05 / len(ops))


class Streaming(Sound):
    def commit(self, ops: Iterable[Op]) -> None:
        for op in ops:
            super().commit([op])


class Poisoned(Sound):
    """A transaction that failed stays open."""

    has_failed = False

    def check_open(self) -> None:
        super().check_open()
        if self.has_failed:
            raise StorageError("the transaction is aborted")

    def check_expectation(self, op: Op, current: bytes | None) -> None:
        try:
            super().check_expectation(op, current)
        except ConflictError:
            self.has_failed = True
            raise


class RepeatingOps(Sound):
    def check_ops(self, ops: Iterable[Op]) -> list[Op]:
        return [checked for op in ops for checked in check_ops([op])]


class TakingAnyBody(Sound):
    def check_ops(self, ops: Iterable[Op]) -> list[Op]:
        return sorted(ops, key=lambda op: op.key)

    def read(self) -> Records:
        return {key: body or b"{}" for key, body in super().read().items()}


class TakingAnyKey(Sound):
    def check_key(self, key: Key) -> None:
        pass

    def check_scan(self, kind: str, name: str | None, after: Key | None, limit: int | None) -> None:
        pass


class RewritingNumbers(Sound):
    def get(self, key: Key) -> bytes:
        return json.dumps(json.loads(super().get(key), parse_int=float)).encode()


class EmptyAsNull(Sound):
    """As some languages do that have no empty list or object of their own."""

    def changed(self, records: Records, ops: Iterable[Op]) -> Records:
        records = super().changed(records, ops)
        return {key: body.replace(b"[]", b"{}") for key, body in records.items()}


class NoLargeValues(Sound):
    def write(self, records: Records) -> None:
        super().write({key: body for key, body in records.items() if len(body) < 65536})


class NotFoundAsKeyError(Sound):
    def get(self, key: Key) -> bytes:
        try:
            return super().get(key)
        except NotFoundError as error:
            raise KeyError(key) from error
