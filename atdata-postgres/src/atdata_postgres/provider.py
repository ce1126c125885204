"""The record store in a PostgreSQL database."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from weakref import WeakSet

from sqlalchemy import Connection, Row, Select, create_engine, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from atdata.errors import StorageError
from atdata.index.provider import Key, Op
from atdata.index.sql import Body, SQLProvider
from atdata_postgres.connections import Address
from atdata_postgres.failures import is_lost, retry, translate
from atdata_postgres.tables import prepare

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import Pool

    from atdata.errors import AtdataError

POOL_SIZE = 5

_LOCK_ROWS = text(
    "SELECT kind, name, version, body FROM atdata_records WHERE (kind, name, version)"
    " IN (SELECT * FROM unnest(:kinds ::text[], :names ::text[], :versions ::text[]))"
    " ORDER BY kind, name, version FOR UPDATE OF atdata_records"
).columns(body=Body)
# No commit is tried again for so long.
_SWEEP = text("DELETE FROM atdata_commits WHERE at < now() - interval '1 day'")
_CLAIM = text(
    "WITH settled AS (DELETE FROM atdata_commits WHERE token = ANY(:settled))"
    " INSERT INTO atdata_commits (token) VALUES (:token) ON CONFLICT DO NOTHING"
)


class PostgresProvider(SQLProvider):
    """Keep records in the database that ``dsn`` names, in any form that libpq takes.

    What the DSN leaves out is found as libpq does: ``PG*`` variables, ``~/.pgpass``, a service
    file. Tables are created on first use in the first schema of ``search_path``. Any number of
    processes and threads may share a database, and a forked child goes on over connections of its
    own. It is pickled as its DSN, with the password if that was given in it.

    A lost connection is made anew and the call repeated, for some seconds. That holds for a commit
    too, of which nobody knows whether it arrived: a token written with it tells.
    """

    def __init__(self, dsn: str = "") -> None:
        self._address = Address(dsn)
        prepare(self._address)
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._address.connect,
            # Rows are locked where it matters; the server's default may be stricter and slower.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=0,
            hide_parameters=True,
            use_native_hstore=False,
        )
        super().__init__(engine, insert, self._address.location)
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._settled: deque[UUID] = deque()
        self._has_swept = False
        _live.add(self)

    def _query(self, statement: Select[Any], parameters: Mapping[str, str]) -> Sequence[Row[Any]]:
        return retry(partial(self._query_once, statement, parameters))

    def _query_once(
        self, statement: Select[Any], parameters: Mapping[str, str]
    ) -> Sequence[Row[Any]]:
        # A transaction around one statement would only add two round trips.
        with self._open_until_closed(), self._reading.connect() as connection:
            return connection.execute(statement, parameters).all()

    def _commit(self, ops: list[Op]) -> None:
        self._check_open()
        if ops:
            token = uuid4()
            try:
                retry(partial(self._commit_once, token, ops))
            except DBAPIError as error:
                if not is_lost(error):
                    raise
                message = f"{self._translate(error)}; whether the change was made is not known"
                raise StorageError(message, location=self.location) from error
            self._settled.append(token)

    def _commit_once(self, token: UUID, ops: list[Op]) -> None:
        with self._open_until_closed(), self._engine.begin() as connection:
            if self._claim(connection, token):
                self._apply(connection, ops)

    @contextmanager
    def _open_until_closed(self) -> Iterator[None]:
        """Leave no connection open that another thread did not see when it closed the index."""
        self._check_open()
        pool = self._engine.pool
        try:
            yield
        finally:
            if not self._disposal.alive:
                pool.dispose()
                self._engine.dispose()

    def _claim(self, connection: Connection, token: UUID) -> bool:
        """Write the token of a commit; False if an earlier attempt at it has come through.

        Where that attempt is still going on at the server, this waits for its end.
        """
        if not self._has_swept:
            connection.execute(_SWEEP)
            self._has_swept = True
        settled = [self._settled.popleft() for _ in range(len(self._settled))]
        return connection.execute(_CLAIM, {"settled": settled, "token": token}).rowcount == 1

    def _lock_rows(self, connection: Connection, keys: list[Key]) -> dict[Key, bytes]:
        kinds, names, versions = map(list, zip(*keys, strict=True))
        parameters = {"kinds": kinds, "names": names, "versions": versions}
        rows = connection.execute(_LOCK_ROWS, parameters)
        return {Key(row.kind, row.name, row.version): row.body for row in rows}

    def _translate(self, error: SQLAlchemyError) -> AtdataError:
        return translate(error, self._address)

    def _forget_connections(self) -> None:
        """Leave the connections of the process before a fork to that process."""
        _inherited.append(self._engine.pool)
        self._engine.dispose(close=False)
        self._settled.clear()

    def __repr__(self) -> str:
        return f"PostgresProvider({self._address.to_safe_dsn()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._address.dsn,)


_live: WeakSet[PostgresProvider] = WeakSet()
# Kept for good: a connection that is collected complains of not having been closed.
_inherited: list[Pool] = []


def _after_fork() -> None:
    for provider in list(_live):
        provider._forget_connections()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
