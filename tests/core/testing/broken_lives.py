"""Index providers that share, close, fork or pickle with one fault each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.core.testing.sound_provider import Records, Sound

from atdata.errors import StorageError
from atdata.index.provider import Key, Op


class ClosingOnce(Sound):
    def close(self) -> None:
        self.check_open()
        super().close()


class NeverClosed(Sound):
    def close(self) -> None:
        pass


class ForeignAfterClose(Sound):
    def check_open(self) -> None:
        if self.is_closed:
            raise ValueError("I/O operation on closed file")


class ClosingForAll(Sound):
    def close(self) -> None:
        super().close()
        Path(f"{self.file}.closed").touch()

    def check_open(self) -> None:
        super().check_open()
        if Path(f"{self.file}.closed").exists():
            raise StorageError("the index is closed")


class Caching(Sound):
    def read(self) -> Records:
        self.cache = getattr(self, "cache", None) or super().read()
        return self.cache

    def write(self, records: Records) -> None:
        self.cache = records
        super().write(records)


class Forgetting(Sound):
    """What is written is kept by the process, and gone when its handle is closed."""

    def close(self) -> None:
        super().close()
        self.file.unlink(missing_ok=True)


class Racing(Sound):
    """Expectations are held against a state that others may change meanwhile."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def write(self, records: Records) -> None:
        time.sleep(0.002)
        super().write(records)


class RacingProcesses(Sound):
    """A lock that only the threads of one process share."""

    mutex: ClassVar = threading.Lock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.mutex:
            yield


class HoldingItsLock(RacingProcesses):
    """A lock that a forked child may find held by a thread it does not have."""

    def write(self, records: Records) -> None:
        time.sleep(0.01)
        super().write(records)


class Deadlocking(Sound):
    """Locks of single keys, taken in the order of the operations; what takes too long fails."""

    locks: ClassVar[dict[Key, threading.Lock]] = {}

    def commit(self, ops: Iterable[Op]) -> None:
        ops = list(ops)
        taken: list[threading.Lock] = []
        try:
            for op in ops:
                lock = self.locks.setdefault(op.key, threading.Lock())
                if not lock.acquire(timeout=0.5):
                    raise StorageError("deadlock detected")
                taken.append(lock)
                time.sleep(0.001)
            super().commit(ops)
        finally:
            for lock in taken:
                lock.release()


class OneThread(Sound):
    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.owner = threading.get_ident()

    def check_open(self) -> None:
        super().check_open()
        if threading.get_ident() != self.owner:
            raise StorageError("a handle can only be used in the thread that opened it")


class OneProcess(Sound):
    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.owner = os.getpid()

    def check_open(self) -> None:
        super().check_open()
        if os.getpid() != self.owner:
            raise StorageError("a handle can only be used in the process that opened it")


class Unpicklable(Sound):
    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (type(self),), self.__dict__


class PickledBroken(Sound):
    """Its copy lacks what is not written down."""

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (type(self),), {"file": self.file}


class PickledElsewhere(Sound):
    """Its copy works, on a place of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (f"{self.file}.copy",)


class CreatingTwice(Sound):
    """Who finds no place makes one, and fails if another was faster."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        if not self.file.exists():
            time.sleep(0.1)
            with self.file.open("x") as made:
                made.write("[]")
