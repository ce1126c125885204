"""The record store on SQL databases, as far as they agree."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Engine,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    delete,
    select,
    tuple_,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.types import TypeEngine, UserDefinedType

from atdata.errors import (
    AtdataError,
    ConflictError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)
from atdata.index.provider import (
    ABSENT,
    ANY,
    IndexProvider,
    Key,
    Op,
    Put,
    check_expectation,
    check_key,
    check_ops,
    check_scan,
)
from atdata.index.unreadable import first_readable, report, unreadable


class _JSONB(UserDefinedType[str]):
    """PostgreSQL's native JSON, which the driver is told to give and take as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"


class Body(TypeDecorator[bytes]):
    """A JSON object: native where the database has a type for it, else text."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Choose the database's type."""
        return _JSONB() if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what the database's driver takes."""
        return None if value is None else value.decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Return what was put, or whatever bytes another program has put there."""
        if value is None or isinstance(value, bytes):
            return value
        return str(value).encode(errors="surrogateescape")


def _key_column(name: str) -> Column[str]:
    # PostgreSQL sorts text by locale unless told to compare bytes, which SQLite always does.
    text = Text().with_variant(Text(collation="C"), "postgresql")
    return Column(name, text, primary_key=True)


RECORDS = Table(
    "atdata_records",
    MetaData(),
    _key_column("kind"),
    _key_column("name"),
    _key_column("version"),
    Column("body", Body, nullable=False),
)

_IS_KEY = (
    (RECORDS.c.kind == bindparam("at_kind"))
    & (RECORDS.c.name == bindparam("at_name"))
    & (RECORDS.c.version == bindparam("at_version"))
)
_GET = select(RECORDS.c.body).where(_IS_KEY)
# Databases that lock rows keep them as they were read; others lock the whole file beforehand.
_GET_LOCKED = _GET.with_for_update()
_DELETE = delete(RECORDS).where(_IS_KEY)


class SQLProvider(IndexProvider):
    """Keep records in one table of the database behind ``engine``, which the provider owns.

    A subclass creates the table, passes its dialect's ``insert``, and may refine how a
    transaction starts and what an error means.
    """

    def __init__(self, engine: Engine, insert: Callable[[Table], Any], location: str) -> None:
        self.location = location
        self._engine = engine
        self._insert = insert(RECORDS)
        self._upsert = self._insert.on_conflict_do_update(
            index_elements=RECORDS.primary_key.columns,
            set_={"body": self._insert.excluded.body},
        )
        # A provider that is dropped without `close` must not leave its connections open.
        self._disposal = weakref.finalize(self, engine.dispose)

    def commit(self, ops: Iterable[Op]) -> None:
        """Do as `IndexProvider.commit` says."""
        # One order of keys for all writers: two of them cannot wait for each other's rows.
        ordered = check_ops(ops)
        with self._translating():
            self._commit(ordered)

    def get(self, key: Key) -> bytes:
        """Do as `IndexProvider.get` says."""
        check_key(key)
        with self._translating():
            rows = self._query(_GET, _to_parameters(key))
        if not rows:
            raise NotFoundError(f"no record {key!r} in the index at {self.location}", key=key)
        body: bytes = rows[0].body
        return body

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
        statement = _scan(kind, name, after, reverse=reverse)

        def fetch(size: int | None) -> Sequence[Row[Any]]:
            with self._translating():
                return self._query(statement.limit(size), {})

        def read(row: Row[Any]) -> tuple[Key, bytes] | None:
            key = Key(kind, row.name, row.version)
            return (key, row.body) if self._is_key(key) else None

        return first_readable(limit, fetch, read)

    def close(self) -> None:
        """Do as `IndexProvider.close` says."""
        self._disposal()

    def _is_key(self, key: Key) -> bool:
        """Tell whether a key that was found is one; other programs can put there what is none."""
        try:
            check_key(key)
        except (InvalidNameError, TypeError) as error:
            odd = Key(*map(str, key))
            report(self, odd, unreadable(odd, error))
            return False
        return True

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._translate(error) from error

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end."""
        self._check_open()
        with self._engine.begin() as connection:
            yield connection

    def _check_open(self) -> None:
        if not self._disposal.alive:
            raise StorageError(f"the index at {self.location} is closed; open it again")

    def _query(self, statement: Select[Any], parameters: Mapping[str, str]) -> Sequence[Row[Any]]:
        """Return what a statement finds at one moment."""
        with self._connection() as connection:
            return connection.execute(statement, parameters).all()

    def _commit(self, ops: list[Op]) -> None:
        """Apply checked operations, which are in key order, or none of them."""
        with self._connection() as connection:
            if ops:
                self._begin_write(connection)
                self._apply(connection, ops)

    def _apply(self, connection: Connection, ops: list[Op]) -> None:
        """Hold the expectations against what is there, then write."""
        expecting = [op for op in ops if op.expect is not ANY]
        current = self._lock_rows(connection, [op.key for op in expecting]) if expecting else {}
        for op in expecting:
            check_expectation(op, current.get(op.key))
        self._write(connection, ops)

    def _lock_rows(self, connection: Connection, keys: list[Key]) -> dict[Key, bytes]:
        """Return the values that are there, which stay so until the transaction ends."""
        found = {key: connection.execute(_GET_LOCKED, _to_parameters(key)).scalar() for key in keys}
        return {key: body for key, body in found.items() if body is not None}

    def _begin_write(self, connection: Connection) -> None:
        """Say to the database that this transaction will write, where it cares."""

    def _translate(self, error: SQLAlchemyError) -> AtdataError:
        if isinstance(error, IntegrityError):
            # The key appeared between our look at it and the insert.
            message = f"another writer to the index at {self.location} was faster; try again"
            return ConflictError(message)
        reason = getattr(error, "orig", None) or error
        return StorageError(f"the index at {self.location} failed: {reason}", path=self.location)

    def _write(self, connection: Connection, ops: list[Op]) -> None:
        puts = [op for op in ops if isinstance(op, Put)]
        batches = [
            (self._insert, [_to_row(op) for op in puts if op.expect is ABSENT]),
            (self._upsert, [_to_row(op) for op in puts if op.expect is not ABSENT]),
            (_DELETE, [_to_parameters(op.key) for op in ops if not isinstance(op, Put)]),
        ]
        for statement, rows in batches:
            if rows:
                connection.execute(statement, rows)


def _scan(kind: str, name: str | None, after: Key | None, *, reverse: bool) -> Select[Any]:
    columns = RECORDS.c
    statement = select(columns.name, columns.version, columns.body).where(columns.kind == kind)
    if name is not None:
        statement = statement.where(columns.name == name)
    if after is not None:
        position, mark = tuple_(columns.name, columns.version), tuple_(*after[1:])
        statement = statement.where(position < mark if reverse else position > mark)
    if reverse:
        return statement.order_by(columns.name.desc(), columns.version.desc())
    return statement.order_by(columns.name, columns.version)


def _to_parameters(key: Key) -> dict[str, str]:
    return {"at_kind": key.kind, "at_name": key.name, "at_version": key.version}


def _to_row(op: Put) -> dict[str, Any]:
    return {**op.key._asdict(), "body": op.value}
