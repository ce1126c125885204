"""What was uploaded and not yet published, kept so that a killed upload goes on where it was.

A server keeps a blob for a while before a record refers to it, and has no way to ask which it has.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from atdata.errors import StorageError
from atdata.home import make_home

FILE = "uploads.db"
_TABLES = """
create table if not exists blobs (did text, cid text, primary key (did, cid));
create table if not exists limits (server text primary key, bytes integer);
create table if not exists plans (did text, content text, rkey text, primary key (did, content));
"""


class UploadJournal:
    """The uploads of one account to one server, in a file that its owner alone can read.

    Processes share it. What it says may be out of date: the server decides.
    """

    def __init__(self, did: str, server: str) -> None:
        self._did = did
        self._server = server

    def has(self, cid: str) -> bool:
        """Tell whether a blob was uploaded."""
        return bool(self._rows("select 1 from blobs where did = ? and cid = ?", self._did, cid))

    def add(self, cid: str) -> None:
        """Note that a blob was uploaded."""
        self._rows("insert or ignore into blobs values (?, ?)", self._did, cid)

    def forget(self, cids: Iterable[str]) -> None:
        """Forget blobs: a record refers to them now, or the server has them no more."""
        with _opened() as database:
            rows = [(self._did, cid) for cid in cids]
            database.executemany("delete from blobs where did = ? and cid = ?", rows)

    @property
    def limit(self) -> int | None:
        """The largest blob that the server is known to take, None if that is not known."""
        rows = self._rows("select bytes from limits where server = ?", self._server)
        return int(rows[0][0]) if rows else None

    @limit.setter
    def limit(self, size: int) -> None:
        self._rows("insert or replace into limits values (?, ?)", self._server, size)

    def plan(self, content: str, rkey: str) -> str:
        """Return the key that a record of this content is to have, the given one if it is new."""
        with _opened() as database:
            row = (self._did, content, rkey)
            database.execute("insert or ignore into plans values (?, ?, ?)", row)
            query = "select rkey from plans where did = ? and content = ?"
            [found] = database.execute(query, row[:2]).fetchone()
        return str(found)

    def finish(self, content: str) -> None:
        """Note that the record of this content is there."""
        self._rows("delete from plans where did = ? and content = ?", self._did, content)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with _opened() as database:
            return database.execute(statement, values).fetchall()


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """Open the file for one transaction."""
    path = make_home() / FILE
    try:
        _make_private(path)
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            database.executescript(_TABLES)
            yield database
    except (sqlite3.Error, OSError) as error:
        message = f"the list of uploads {path} cannot be used: {error}; remove it to begin anew"
        raise StorageError(message, path=str(path)) from error


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
