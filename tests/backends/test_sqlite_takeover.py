"""Index files of earlier releases: their rows become records, their tables stay."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgpack
import pytest
from tests.backends.processes import append_from_processes, check_appended, execute, run

from atdata import Index
from atdata.index.provider import Key, Put
from atdata_sqlite.provider import SQLiteProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


OLD_TABLES = [
    """CREATE TABLE dataset_entries (cid TEXT PRIMARY KEY, name TEXT NOT NULL,
       schema_ref TEXT NOT NULL, data_urls BLOB NOT NULL, metadata BLOB, legacy_uuid TEXT,
       created_at TEXT DEFAULT (datetime('now')))""",
    "CREATE INDEX idx_entries_name ON dataset_entries(name)",
    """CREATE TABLE schemas (name TEXT NOT NULL, version TEXT NOT NULL, schema_json TEXT NOT NULL,
       created_at TEXT DEFAULT (datetime('now')), PRIMARY KEY (name, version))""",
]
SCHEMA_REF = "atdata://local/sampleSchema/S@1.0.0"


def _make_old(
    path: Path, entries: list[tuple[object, ...]], schemas: list[tuple[str, str, str]] | None = None
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in OLD_TABLES:
            connection.execute(statement)
        connection.executemany("INSERT INTO dataset_entries VALUES (?,?,?,?,?,?,?)", entries)
        connection.executemany(
            "INSERT INTO schemas (name, version, schema_json) VALUES (?,?,?)", schemas or []
        )


def _entry(
    cid: str | None,
    name: str,
    *,
    urls: object = ("a.tar",),
    metadata: object = None,
    uuid: str | None = None,
    created: str | None = "2025-01-02 03:04:05",
) -> tuple[object, ...]:
    packed = None if metadata is None else msgpack.packb(metadata, datetime=True)
    return cid, name, SCHEMA_REF, msgpack.packb(urls), packed, uuid, created


def test_datasets_of_an_earlier_release_are_records(path: Path) -> None:
    _make_old(path, [_entry("bafy1", "mnist", urls=["a", "b"], metadata={"k": [1]}, uuid="u")])
    with closing(SQLiteProvider(path)) as store:
        body = json.loads(store.get(Key("dataset", "mnist", "")))
        assert body == {
            "name": "mnist",
            "schema_ref": SCHEMA_REF,
            "data_urls": ["a", "b"],
            "metadata": {"k": [1]},
            "cid": "bafy1",
            "revision": 1,
            "created_at": "2025-01-02T03:04:05+00:00",
            "shards": None,
            "content_cid": None,
            "legacy_uuid": "u",
        }
        assert json.loads(store.get(Key("revision", "mnist", "00000001"))) == body
        pointer = json.loads(store.get(Key("cid", "bafy1", "mnist@00000001")))
        assert pointer == {"name": "mnist", "revision": 1}


def test_rows_of_one_name_become_its_revisions_by_time_then_by_order(path: Path) -> None:
    entries = [
        _entry("late", "n", created="2025-02-01 00:00:00"),
        _entry("tie1", "n"),
        _entry("other", "m"),
        _entry("tie2", "n"),
    ]
    _make_old(path, entries)
    with closing(SQLiteProvider(path)) as store:
        history = [json.loads(body) for _, body in store.scan("revision", "n")]
        assert [(body["cid"], body["revision"]) for body in history] == [
            ("tie1", 1),
            ("tie2", 2),
            ("late", 3),
        ]
        assert json.loads(store.get(Key("dataset", "n", ""))) == history[-1]
        assert [key.version for key, _ in store.scan("cid", "late")] == ["n@00000003"]
        assert [key.name for key, _ in store.scan("dataset")] == ["m", "n"]


def test_schemas_of_an_earlier_release_are_records(path: Path) -> None:
    text = json.dumps({"name": "S", "version": "1.0.0", "fields": [], "description": "é\0"})
    _make_old(path, [], [("S", "1.0.0", text), ("S", "1.1.0", text)])
    with closing(SQLiteProvider(path)) as store:
        rows = store.scan("schema", "S")
    assert [key.version for key, _ in rows] == ["1.0.0", "1.1.0"]
    assert json.loads(rows[0][1])["description"] == "é\N{REPLACEMENT CHARACTER}"


def test_a_schema_whose_text_bears_another_name_is_called_as_its_row(path: Path) -> None:
    text = json.dumps({"name": "my.module.S", "version": "1", "fields": []})
    _make_old(path, [], [("S", "1.0.0", text)])
    with Index(path=path) as index:
        assert [(one["name"], one["version"]) for one in index.list_schemas()] == [("S", "1.0.0")]
        assert index.decode_schema("local://schemas/my.module.S@1.0.0").__name__ == "S"


LABELS = """CREATE TABLE labels (name TEXT NOT NULL, cid TEXT NOT NULL,
    version TEXT NOT NULL DEFAULT '', description TEXT, created_at TEXT,
    PRIMARY KEY (name, version))"""


def test_a_label_is_a_further_name_of_its_dataset(path: Path) -> None:
    _make_old(path, [_entry("c1", "n", urls=["a"]), _entry("c2", "n", urls=["b"])])
    labels = [
        ("n", "c2", "", "2025-01-02 03:04:05"),
        ("nice", "c2", "1.9.0", "2025-01-02 03:04:05"),
        ("nice", "c1", "1.10.0", "2025-01-03 00:00:00"),
        ("gone", "c3", "", "2025-01-03 00:00:00"),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(LABELS)
        insert = "INSERT INTO labels (name, cid, version, created_at) VALUES (?,?,?,?)"
        connection.executemany(insert, labels)
    with Index(path=path) as index:
        assert [entry.name for entry in index.datasets] == ["n", "nice"]
        assert [entry.cid for entry in index.history("n")] == ["c2", "c1"]
        assert [(one.cid, one.data_urls) for one in index.history("nice")] == [
            ("c1", ["a"]),
            ("c2", ["b"]),
        ]


def test_the_label_that_was_given_last_leads_to_the_newest_revision(path: Path) -> None:
    _make_old(path, [_entry("c1", "n"), _entry("c2", "n", created="2025-01-03 00:00:00")])
    execute(path, LABELS, "INSERT INTO labels VALUES ('n', 'c1', '', NULL, '2025-01-04 00:00:00')")
    with Index(path=path) as index:
        assert [entry.cid for entry in index.history("n")] == ["c1", "c2", "c1"]


def test_what_json_cannot_hold_changes_its_form(path: Path) -> None:
    metadata = {"raw": b"\xff", 3: float("nan"), "big": 2**63, "nul": "a\0b", "deep": [{"x": b""}]}
    _make_old(path, [_entry("c", "n", metadata=metadata)])
    with closing(SQLiteProvider(path)) as store:
        body = json.loads(store.get(Key("dataset", "n", "")))
    assert body["metadata"] == {
        "raw": {"$bytes": "/w=="},
        "3": "nan",
        "big": 2**63,
        "nul": "a\N{REPLACEMENT CHARACTER}b",
        "deep": [{"x": {"$bytes": ""}}],
    }


def test_odd_rows_are_taken_over_as_far_as_they_can_be_read(path: Path) -> None:
    entries = [
        _entry(None, "no cid"),
        _entry("c1", "no time", created=None),
        _entry("c2", "no such time", created="yesterday"),
        _entry("c3", "team@x/../%", urls=[]),
        _entry("c4", ""),
    ]
    _make_old(path, entries)
    with closing(SQLiteProvider(path)) as store:
        rows = {key.name: json.loads(body) for key, body in store.scan("dataset")}
    assert set(rows) == {"", "no cid", "no time", "no such time", "team@x/../%"}
    assert rows["no cid"]["cid"].startswith("bafyrei")
    assert rows["no time"]["created_at"] == rows["no such time"]["created_at"]


UNREADABLE = {
    "urls that are no list": _entry("bad", "n", urls="a.tar"),
    "urls that are no text": _entry("bad", "n", urls=[1]),
    "urls that are no msgpack": ("bad", "n", SCHEMA_REF, b"\xc1", None, None, None),
    "urls cut short": ("bad", "n", SCHEMA_REF, b"\x92\xa1a", None, None, None),
    "urls as text": ("bad", "n", SCHEMA_REF, "['a']", None, None, None),
    "metadata that is no map": _entry("bad", "n", metadata=[1]),
    "metadata of a type of its own": _entry("bad", "n", metadata={"x": msgpack.ExtType(5, b"")}),
    "a time beyond all calendars": _entry("bad", "n", metadata={"x": msgpack.Timestamp(2**60, 0)}),
    "a name with NUL": _entry("bad", "n\0m"),
    "a name too long": _entry("bad", "n" * 2000),
    "a name as bytes": ("bad", b"n", SCHEMA_REF, msgpack.packb([]), None, None, None),
}


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_row_is_left_where_it_is_with_a_warning(
    path: Path, entry: tuple[object, ...]
) -> None:
    _make_old(path, [entry, _entry("good", "n")])
    with pytest.warns(UserWarning, match="stays in table dataset_entries"):
        store = SQLiteProvider(path)
    assert [key.name for key, _ in store.scan("cid")] == ["good"]
    assert json.loads(store.get(Key("dataset", "n", "")))["revision"] == 1
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_entries").fetchone() == (2,)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "{}", '{"fields":{}}'])
def test_an_unreadable_schema_is_left_where_it_is_with_a_warning(path: Path, text: str) -> None:
    _make_old(path, [], [("S", "1.0.0", text)])
    with pytest.warns(UserWarning, match="stays in table schemas"):
        store = SQLiteProvider(path)
    assert store.scan("schema") == []
    store.close()


def test_text_that_is_no_utf8_is_taken_over_readably(path: Path) -> None:
    _make_old(path, [_entry("c", "n")])
    execute(path, "UPDATE dataset_entries SET name = CAST(x'6eff' AS TEXT)")
    with closing(SQLiteProvider(path)) as store:
        assert [key.name for key, _ in store.scan("dataset")] == ["n\N{REPLACEMENT CHARACTER}"]


def test_old_rows_are_taken_over_once_and_their_tables_stay(path: Path) -> None:
    _make_old(path, [_entry("c1", "n")], [("S", "1.0.0", '{"fields":[]}')])
    with closing(SQLiteProvider(path)) as store:
        store.commit([Put(Key("dataset", "n", ""), ONE)])
    execute(path, "UPDATE dataset_entries SET name = 'm'")
    with closing(SQLiteProvider(path)) as store:
        assert store.scan("dataset") == [(Key("dataset", "n", ""), ONE)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT cid, name FROM dataset_entries").fetchall() == [
            ("c1", "m")
        ]
        assert connection.execute("SELECT count(*) FROM schemas").fetchone() == (1,)


def test_old_rows_still_in_the_log_of_a_crashed_process_are_taken_over(path: Path) -> None:
    script = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
for statement in sys.argv[2:]:
    connection.execute(statement)
os._exit(0)
"""
    row = "INSERT INTO dataset_entries VALUES ('c', 'n', 's', x'90', NULL, NULL, NULL)"
    run(script, path, *OLD_TABLES, row)
    with closing(SQLiteProvider(path)) as store:
        assert [key.name for key, _ in store.scan("dataset")] == ["n"]


def test_many_processes_take_over_an_old_file_once(path: Path) -> None:
    _make_old(path, [_entry(f"c{number}", f"n{number}") for number in range(200)])
    append_from_processes(path, 6, 1)
    check_appended(path, 6)
    with closing(SQLiteProvider(path)) as store:
        assert len(store.scan("dataset")) == len(store.scan("cid")) == 200
