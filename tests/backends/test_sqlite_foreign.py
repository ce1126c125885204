"""Files that are no sound index of ours: refused with a reason, and left as they were."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.backends.processes import execute, leftovers, run

from atdata.errors import IndexCorruptError, StorageError
from atdata.index.provider import Key, Put
from atdata_sqlite.files import APPLICATION_ID, FORMAT
from atdata_sqlite.provider import SQLiteProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


FOREIGN_DATABASES = {
    "other tables": ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"],
    "other tables with a log": ["PRAGMA journal_mode = WAL", "CREATE TABLE t (x)"],
    "another application": ["PRAGMA application_id = 7"],
    "another application's version": ["PRAGMA user_version = 7"],
    "a table of our name": ["CREATE TABLE atdata_records (x)"],
    "tables of the old names": [
        "CREATE TABLE dataset_entries (x)",
        "CREATE TABLE schemas (name, version, schema_json)",
    ],
    "a newer format": [
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {FORMAT + 1}",
        "PRAGMA journal_mode = WAL",
    ],
}


@pytest.mark.parametrize("statements", FOREIGN_DATABASES.values(), ids=FOREIGN_DATABASES)
def test_b9_databases_of_others_are_refused_untouched(path: Path, statements: list[str]) -> None:
    execute(path, *statements)
    before = path.read_bytes()
    with pytest.raises(IndexCorruptError, match=r"index\.db.*; (give another path|upgrade)"):
        SQLiteProvider(path)
    assert path.read_bytes() == before
    assert leftovers(path) == []


def test_b9_a_database_of_others_with_a_log_left_by_a_crash_is_refused_untouched(
    path: Path,
) -> None:
    script = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE t (x)")
os._exit(0)
"""
    run(script, path)
    wal = path.with_name("index.db-wal")
    before = path.read_bytes(), wal.read_bytes()
    with pytest.raises(IndexCorruptError):
        SQLiteProvider(path)
    assert (path.read_bytes(), wal.read_bytes()) == before


@pytest.mark.parametrize("size", [1, 99, 100, 512, 4096, 20000])
def test_b9_random_bytes_are_refused_untouched(path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match="is not an atdata index"):
        SQLiteProvider(path)
    assert path.read_bytes() == content
    assert leftovers(path) == []


def _make_full(path: Path) -> bytes:
    with closing(SQLiteProvider(path)) as store:
        body = json.dumps({"pad": "x" * 3000}).encode()
        store.commit(Put(Key("k", f"{number}", ""), body) for number in range(30))
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.5, 0.99])
def test_b9_a_truncated_index_is_refused_untouched(path: Path, share: float) -> None:
    content = _make_full(path)
    content = content[: int(len(content) * share)]
    path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"index\.db"):
        SQLiteProvider(path)
    assert path.read_bytes() == content


def _complaint(path: Path) -> str:
    """Return what opening and reading the file raises, nothing if it does not."""
    try:
        with closing(SQLiteProvider(path)) as store:
            store.scan("k")
    except (IndexCorruptError, StorageError) as error:
        return str(error)
    return ""


def test_b9_a_flipped_bit_in_any_page_never_fails_in_a_foreign_way(path: Path) -> None:
    content = _make_full(path)
    chance = random.Random(1)
    complaints = set()
    for page in range(0, len(content), 4096):
        for _ in range(4):
            damaged = bytearray(content)
            damaged[page + chance.randrange(120)] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            complaints.add(_complaint(path))
    complaints.discard("")
    assert complaints
    assert all(str(path) in complaint for complaint in complaints)


def test_b9_a_lost_log_loses_only_what_it_held(path: Path) -> None:
    run(WRITE_ONE_AND_CRASH, path)
    path.with_name("index.db-wal").unlink()
    with closing(SQLiteProvider(path)) as store:
        assert store.scan("kind") == []


WRITE_ONE_AND_CRASH = """
import os, sys
from atdata.index.provider import Key, Put
from atdata_sqlite.provider import SQLiteProvider
store = SQLiteProvider(sys.argv[1])
store.commit([Put(Key("kind", "name", ""), b'{"n":1}')])
os._exit(0)
"""


def test_a_commit_outlives_a_process_that_closes_nothing(path: Path) -> None:
    run(WRITE_ONE_AND_CRASH, path)
    with closing(SQLiteProvider(path)) as store:
        assert store.get(KEY) == ONE


def test_a_restored_dump_is_an_index(path: Path, tmp_path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        store.commit([Put(KEY, ONE)])
    restored = tmp_path / "restored.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(restored)) as target:
        target.executescript("\n".join(source.iterdump()))
    with closing(SQLiteProvider(restored)) as store:
        assert store.get(KEY) == ONE


@pytest.mark.parametrize("empty", ["no bytes", "no tables"])
def test_an_empty_file_becomes_an_index(path: Path, empty: str) -> None:
    path.touch()
    if empty == "no tables":
        execute(path, "VACUUM")
    with closing(SQLiteProvider(path)) as store:
        store.commit([Put(KEY, ONE)])
