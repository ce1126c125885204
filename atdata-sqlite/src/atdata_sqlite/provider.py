"""The record store in one SQLite file, or in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import StaticPool

from atdata.forks import ForkLock
from atdata.index.sql import SQLProvider
from atdata_sqlite.files import connect, connect_in_memory, is_private, prepare, translate

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

    from atdata.errors import AtdataError


class SQLiteProvider(SQLProvider):
    """Keep records in the file at ``path``; without one, or with ``":memory:"``, in memory.

    Missing directories and the file are created for this user alone. Any number of processes and
    threads may share a file, and a forked child goes on with it over a connection of its own; an
    index in memory is one for all threads, and a forked child goes on with a copy. A file is
    pickled as its path, an index in memory not at all.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is None or path == ":memory:":
            self.path = None
            location = ":memory:"
            creator = connect_in_memory
        else:
            self.path = Path(path).expanduser().absolute()
            location = str(self.path)
            prepare(self.path)
            creator = partial(connect, self.path)
        # One connection behind one lock: an index in memory must not be opened twice, and a file
        # can be closed before a fork, as its connection must not get into the child.
        engine = create_engine(
            "sqlite://", creator=creator, poolclass=StaticPool, hide_parameters=True
        )
        self._lock = ForkLock(None if self.path is None else engine.dispose)
        super().__init__(engine, insert, location)

    @property
    def is_own(self) -> bool:
        """Do as `IndexProvider.is_own` says: nobody else owns the file, or may write to it."""
        return self.path is None or is_private(self.path)

    def close(self) -> None:
        """Do as `IndexProvider.close` says."""
        # Not while another thread is in the middle of something.
        with self._lock:
            super().close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._lock, super()._connection() as connection:
            yield connection

    def _begin_write(self, connection: Connection) -> None:
        # A transaction that starts as a reader cannot wait for a writer, only fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _translate(self, error: SQLAlchemyError) -> AtdataError:
        return translate(getattr(error, "orig", None) or error, self.location)

    def __repr__(self) -> str:
        return "SQLiteProvider()" if self.path is None else f"SQLiteProvider({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            message = "an index in memory cannot be pickled; give SQLiteProvider a path"
            raise TypeError(message)
        return type(self), (str(self.path),)
