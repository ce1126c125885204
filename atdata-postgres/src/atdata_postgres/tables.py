"""The tables and views of an index: made once, recognised by a comment, others left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateTable

from atdata.errors import IndexCorruptError
from atdata.index.old_rows import (
    OldEntry,
    Record,
    records_from_entries,
    records_from_schemas,
    select_entries,
)
from atdata.index.sql import RECORDS
from atdata_postgres.connections import Address
from atdata_postgres.failures import retry, translate
from atdata_postgres.views import CREATE_DATASETS, CREATE_SCHEMAS

FORMAT = 1
PART = 1000

_MARK = f"atdata index, format {FORMAT}"
_IS_MARK = re.compile(r"atdata index, format ([0-9]{1,9})")
# The bytes of "atdata": all who create an index in this database queue here.
_CREATING = int.from_bytes(b"atdata", "big")

# Each part of an index: what it is, and how it is made.
_PARTS = {
    RECORDS.name: (
        "TABLE",
        str(CreateTable(RECORDS).compile(dialect=PGDialect())),  # type: ignore[no-untyped-call]
    ),
    # Whoever lost the connection during COMMIT finds out here whether it took place.
    "atdata_commits": (
        "TABLE",
        """
        CREATE TABLE atdata_commits
        (token UUID PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now())
        """,
    ),
    "atdata_datasets": ("VIEW", CREATE_DATASETS),
    "atdata_schemas": ("VIEW", CREATE_SCHEMAS),
}
_FIND = """
    SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s)
"""
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
_INSERT = "INSERT INTO atdata_records (kind, name, version, body) VALUES (%s, %s, %s, %s)"
_OLD_SCHEMAS = "SELECT name, version, schema_json FROM schemas"

Connection = psycopg.Connection[Any]


def prepare(address: Address) -> None:
    """Make sure that the database holds an index of this format: create it where there is none.

    Rows of earlier releases are copied once, beside their tables, which stay as they are. Anything
    else of the same name is refused untouched with `IndexCorruptError`. A finished index is only
    looked at, so whoever may just read can open it; what a backup left out is made anew.
    """
    try:
        retry(partial(_prepare, address), is_opening=True)
    except psycopg.Error as error:
        raise translate(error, address) from error


def _prepare(address: Address) -> None:
    with closing(address.connect()) as connection:
        connection.autocommit = True
        found = _find(connection, address)
        if _is_ready(found):
            return
        try:
            with connection.transaction():
                _create(connection, address)
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
            # Whoever may only read needs no more than the records.
            if RECORDS.name not in found:
                raise


def _find(connection: Connection, address: Address) -> set[str]:
    """Return which parts of an index are there, or raise if they are something else."""
    rows = {name: connection.execute(_FIND, (name,)).fetchone() for name in _PARTS}
    for name, row in rows.items():
        if row is not None:
            _check_format(name, row[0], address)
    return {name for name, row in rows.items() if row is not None}


def _is_ready(found: set[str]) -> bool:
    # The views are for people, who may have dropped them.
    return found >= {name for name, (kind, _) in _PARTS.items() if kind == "TABLE"}


def _check_format(name: str, comment: str | None, address: Address) -> None:
    mark = _IS_MARK.fullmatch(comment or "")
    if mark is None:
        message = f"{name} in {address.location} is not of an atdata index: it lacks our comment"
        remedy = "rename it, or give another schema with search_path"
        raise IndexCorruptError(f"{message}; {remedy}", name=name, location=address.location)
    if int(mark[1]) > FORMAT:
        message = f"the index {address.location} has format {mark[1]}, this atdata knows {FORMAT}"
        raise IndexCorruptError(f"{message}; upgrade atdata-postgres", location=address.location)


def _create(connection: Connection, address: Address) -> None:
    # Taking over many rows may keep the others waiting longer than a lock should.
    connection.execute("SET LOCAL lock_timeout = 0")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
    # Another process may have done all this while we waited for the lock.
    found = _find(connection, address)
    if _is_ready(found):
        return
    for name in [name for name in _PARTS if name not in found]:
        kind, statement = _PARTS[name]
        connection.execute(statement)
        connection.execute(f"COMMENT ON {kind} {name} IS '{_MARK}'")
    if RECORDS.name not in found and _has_old_tables(connection):
        _take_over(connection)


def _has_old_tables(connection: Connection) -> bool:
    entries, schemas = (_columns(connection, table) for table in ("dataset_entries", "schemas"))
    return entries >= set(OldEntry._fields) and schemas >= {"name", "version", "schema_json"}


def _columns(connection: Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute(_COLUMNS, (table,))}


def _take_over(connection: Connection) -> None:
    # Times are written as Python reads them, whatever the settings of the server.
    connection.execute("SET LOCAL datestyle = ISO")
    connection.execute("SET LOCAL timezone = 'UTC'")
    has_labels = _columns(connection, "labels") >= {"name", "cid", "created_at"}
    query = select_entries("ctid", has_labels=has_labels)
    entries = map(OldEntry._make, _stream(connection, query))
    schemas = _stream(connection, _OLD_SCHEMAS)
    for records in (records_from_entries(entries), records_from_schemas(schemas)):
        _insert(connection, records)


def _stream(connection: Connection, query: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor("atdata_old_rows") as cursor:
        yield from cursor.execute(query)


def _insert(connection: Connection, records: Iterator[Record]) -> None:
    # While many rows are sent, none can be fetched: in parts, then.
    while part := list(islice(records, PART)):
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, [(*key, body.decode()) for key, body in part])
