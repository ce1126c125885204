"""Index files: made once, recognised before anything is written, and those of others refused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from atdata.errors import AtdataError, IndexCorruptError, StorageError
from atdata.forks import ForkLock
from atdata.home import make_private
from atdata.index.old_rows import (
    OldEntry,
    records_from_entries,
    records_from_schemas,
    select_entries,
)
from atdata.index.sql import RECORDS

# "atda", where SQLite keeps whose file it is.
APPLICATION_ID = 0x61746461
FORMAT = 1
BUSY_SECONDS = 30.0
SMALLEST_DATABASE = 512

_CREATE_RECORDS = str(CreateTable(RECORDS, if_not_exists=True).compile(dialect=sqlite.dialect()))
_INSERT = "INSERT INTO atdata_records (kind, name, version, body) VALUES (?, ?, ?, ?)"
_OLD_SCHEMAS = "SELECT name, version, schema_json FROM schemas"

_REMEDIES = {
    sqlite3.SQLITE_FULL: "free some space and try again",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:.0f} s; try again",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable, or copy it elsewhere",
    sqlite3.SQLITE_CANTOPEN: "check that the path names a file in a directory you may write to",
    sqlite3.SQLITE_IOERR: "check the disk and its file system",
}

# Closing any descriptor of a file drops the locks that SQLite holds on it in this process, so a
# new file is not shown to other threads before the descriptor that made it is closed; and no
# connection may be open while the process forks.
_preparing = ForkLock()


def is_private(path: Path) -> bool:
    """Tell whether a file is this user's, and not everybody's to write to."""
    try:
        status = path.stat()
    except OSError:
        return False
    is_everybodys = os.name == "posix" and bool(status.st_mode & stat.S_IWOTH)
    # Systems without numbers for users give their files to whoever is logged in.
    is_mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return is_mine and not is_everybodys


def connect(path: Path, mode: Literal["ro", "rw"] = "rw") -> sqlite3.Connection:
    """Open a connection that commits for itself unless told BEGIN, and never makes a file."""
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    connection.text_factory = _to_text
    # NORMAL, usual with WAL, may forget the last commits when the power fails. What was
    # acknowledged must last: a dataset's shards are only found through its record.
    try:
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(path: Path) -> None:
    """Make sure that ``path`` is an index of this format: create it, or take over an older one.

    Rows of earlier releases are copied once, beside their tables, which stay as they are. Any
    other file is refused untouched with `IndexCorruptError`.
    """
    with _preparing:
        _prepare(path)


def _prepare(path: Path) -> None:
    try:
        size = _create_file(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"the index {path} cannot be opened: {reason}"
        raise StorageError(f"{message}; {_REMEDIES[sqlite3.SQLITE_CANTOPEN]}", path=path) from error
    # SQLite takes a file of a single byte for an empty one.
    if 0 < size < SMALLEST_DATABASE:
        raise _foreign(path, "it is no SQLite database")
    try:
        if not _is_ready(path):
            _create_table(path)
        _switch_to_wal(path)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: BaseException, path: Path | str) -> AtdataError:
    """Return the error of ours that says what SQLite's says, with the file and the remedy."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # The text of a damaged page often is no UTF-8, which Python notices, not SQLite.
    undecodable = "Could not decode to UTF-8" in str(error)
    if code == sqlite3.SQLITE_NOTADB:
        return _foreign(path, "it is no SQLite database")
    if code == sqlite3.SQLITE_CORRUPT or undecodable:
        return _damaged(path, str(error))
    remedy = _REMEDIES.get(code, "`PRAGMA integrity_check` tells whether the file is sound")
    return StorageError(f"the index {path} failed: {error}; {remedy}", path=path)


def _damaged(path: Path | str, reason: str) -> IndexCorruptError:
    remedy = "restore a copy, or move it away and insert the datasets again"
    return IndexCorruptError(f"the index {path} is damaged ({reason}); {remedy}", path=path)


def _foreign(path: Path | str, reason: str) -> IndexCorruptError:
    remedy = "give another path, or move that file away"
    return IndexCorruptError(f"{path} is not an atdata index: {reason}; {remedy}", path=path)


def _create_file(path: Path) -> int:
    """Create the file, empty and private, with its directories, unless it is there; its size."""
    make_private(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not path.is_file():
        raise OSError(f"{path} is no regular file")
    # SQLite would open it for reading only and fail at the first write; its log files lie beside.
    for needed in (path, path.parent):
        if not os.access(needed, os.W_OK):
            raise PermissionError(f"{needed} is read-only")
    return path.stat().st_size


def _is_ready(path: Path) -> bool:
    """Tell whether the file is an index already, or raise if it never can be."""
    # A connection that may write removes its log when it closes, but would also apply a log that
    # somebody else left.
    mode: Literal["ro", "rw"] = "ro" if _has_log(path) else "rw"
    with contextlib.closing(connect(path, mode)) as connection:
        # All that is looked at must be of one moment: the file may be in the making.
        connection.execute("BEGIN")
        is_index = _is_index(connection, path)
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        # SQLite would read zeros for the rest of the last page. A log may still complete it.
        if mode == "rw" and path.stat().st_size % page_size:
            raise _damaged(path, "it ends in the middle of a page")
        return is_index


def _has_log(path: Path) -> bool:
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _is_index(connection: sqlite3.Connection, path: Path) -> bool:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION_ID:
        if version > FORMAT:
            message = f"the index {path} has format {version}, this atdata knows {FORMAT}"
            raise IndexCorruptError(f"{message}; upgrade atdata-sqlite", path=path)
        return version == FORMAT
    if application != 0 or version != 0:
        raise _foreign(path, f"it belongs to another application ({application:#x}, {version})")
    tables = _tables(connection)
    # A restored dump holds our table, but has lost the application id.
    if tables and not (_has_records(connection) or _has_old_tables(connection)):
        raise _foreign(path, f"it holds the tables of something else ({', '.join(tables)[:80]})")
    return False


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def _has_records(connection: sqlite3.Connection) -> bool:
    return _columns(connection, RECORDS.name) == set(RECORDS.columns.keys())


def _has_old_tables(connection: sqlite3.Connection) -> bool:
    entries, schemas = (_columns(connection, table) for table in ("dataset_entries", "schemas"))
    return entries >= set(OldEntry._fields) and schemas >= {"name", "version", "schema_json"}


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {name for (name,) in rows}


def _create_table(path: Path) -> None:
    with contextlib.closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have done all this while we waited for the lock.
        if not _is_index(connection, path):
            is_old = not _has_records(connection) and _has_old_tables(connection)
            connection.execute(_CREATE_RECORDS)
            if is_old:
                _take_over(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")


def _take_over(connection: sqlite3.Connection) -> None:
    connection.text_factory = lambda text: text.decode(errors="replace")
    has_labels = _columns(connection, "labels") >= {"name", "cid", "created_at"}
    query = select_entries("rowid", has_labels=has_labels)
    entries = map(OldEntry._make, connection.execute(query))
    schemas = connection.execute(_OLD_SCHEMAS)
    for records in (records_from_entries(entries), records_from_schemas(schemas)):
        connection.executemany(_INSERT, ((*key, body.decode()) for key, body in records))


def _switch_to_wal(path: Path) -> None:
    """Let readers and one writer work at once; the file remembers it."""
    with contextlib.closing(connect(path)) as connection:
        mode = _set_wal(connection)
    if mode != "wal":
        message = f"the index {path} cannot keep a write-ahead log ({mode})"
        raise StorageError(f"{message}; put it on a local disk", path=path)


def _set_wal(connection: sqlite3.Connection) -> str:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            return mode
        except sqlite3.OperationalError as error:
            # This one statement does not wait for locks by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def connect_in_memory() -> sqlite3.Connection:
    """Open a new index that lives as long as the connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.text_factory = _to_text
    connection.execute(_CREATE_RECORDS)
    return connection


def _to_text(raw: bytes) -> str:
    """Decode text of which another program may have put any bytes there."""
    return raw.decode(errors="surrogateescape")
