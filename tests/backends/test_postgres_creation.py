"""The tables of a PostgreSQL index: created once, and filled with the rows of earlier releases."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import msgpack
import psycopg
import pytest
from tests.services.postgres_server import Place

from atdata import Index
from atdata.index.provider import ABSENT, Key, Put
from atdata.testing.children import in_fork
from atdata_postgres.provider import PostgresProvider

ONE = b'{"n":1}'
SCHEMA_REF = "atdata://local/sampleSchema/S@1.0.0"
OLD_TABLES = """
CREATE TABLE dataset_entries (cid TEXT PRIMARY KEY, name TEXT NOT NULL, schema_ref TEXT NOT NULL,
    data_urls BYTEA NOT NULL, metadata BYTEA, legacy_uuid TEXT,
    created_at TIMESTAMPTZ DEFAULT now());
CREATE INDEX idx_entries_name ON dataset_entries (name);
CREATE TABLE schemas (name TEXT NOT NULL, version TEXT NOT NULL, schema_json TEXT NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (name, version));
"""


@pytest.fixture
def dsn(postgres_server: Place) -> str:
    return postgres_server.fresh_dsn()


def _open_and_put(dsn: str, writer: int) -> None:
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(Key("k", f"{writer}", ""), ONE, ABSENT)])


def test_k4_sixteen_threads_create_an_index_once(dsn: str) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(_open_and_put, [dsn] * 16, range(16)))
    with closing(PostgresProvider(dsn)) as store:
        assert len(store.scan("k")) == 16


def test_k4_sixteen_processes_create_an_index_and_take_old_rows_over_once(dsn: str) -> None:
    names = [f"n{number:03d}" for number in range(200)]
    _make_old(dsn, [_entry(f"cid of {name}", name) for name in names])

    def open_and_list() -> bool:
        with closing(PostgresProvider(dsn)) as store:
            return [key.name for key, _ in store.scan("dataset")] == names

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(in_fork, [open_and_list] * 16)) == [True] * 16


def test_an_index_is_opened_again_without_a_write(dsn: str) -> None:
    PostgresProvider(dsn).close()
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE atdata_records, atdata_commits IN SHARE MODE")
        PostgresProvider(dsn).close()


def _make_old(
    dsn: str, entries: Iterable[tuple[Any, ...]], schemas: Iterable[tuple[str, str, str]] = ()
) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(OLD_TABLES)
        cursor.executemany(
            "INSERT INTO dataset_entries VALUES (%s, %s, %s, %s, %s, %s, %s)", entries
        )
        cursor.executemany(
            "INSERT INTO schemas (name, version, schema_json) VALUES (%s, %s, %s)", schemas
        )


def _entry(
    cid: str,
    name: str,
    *,
    urls: object = ("a.tar",),
    metadata: object = None,
    uuid: str | None = None,
    created: str | None = "2025-01-02 03:04:05+02",
) -> tuple[Any, ...]:
    packed = None if metadata is None else msgpack.packb(metadata, datetime=True)
    return cid, name, SCHEMA_REF, msgpack.packb(urls), packed, uuid, created


def test_datasets_of_an_earlier_release_are_records(dsn: str) -> None:
    _make_old(dsn, [_entry("bafy1", "mnist", urls=["a", "b"], metadata={"k": [1]}, uuid="u")])
    with closing(PostgresProvider(dsn)) as store:
        body = json.loads(store.get(Key("dataset", "mnist", "")))
        assert body == {
            "name": "mnist",
            "schema_ref": SCHEMA_REF,
            "data_urls": ["a", "b"],
            "metadata": {"k": [1]},
            "cid": "bafy1",
            "revision": 1,
            "created_at": "2025-01-02T01:04:05+00:00",
            "shards": None,
            "content_cid": None,
            "legacy_uuid": "u",
        }
        assert json.loads(store.get(Key("revision", "mnist", "00000001"))) == body
        pointer = json.loads(store.get(Key("cid", "bafy1", "mnist@00000001")))
        assert pointer == {"name": "mnist", "revision": 1}


def test_datasets_of_an_earlier_release_are_found_through_the_index_and_with_sql(dsn: str) -> None:
    _make_old(dsn, [_entry("bafy1", "mnist", metadata={"k": [1]})])
    with Index(dsn=dsn) as index:
        assert index.get_dataset("mnist").metadata == {"k": [1]}
        assert index.get_entry("bafy1").name == "mnist"
    with psycopg.connect(dsn) as connection:
        query = "SELECT name, shards, created_at = '2025-01-02 01:04:05+00' FROM atdata_datasets"
        assert connection.execute(query).fetchall() == [("mnist", None, True)]


@pytest.mark.parametrize("settings", ["-c datestyle=german", "-c timezone=Asia/Kathmandu"])
def test_rows_of_one_name_become_its_revisions_by_time_then_by_order(
    dsn: str, settings: str
) -> None:
    entries = [
        _entry("late", "n", created="2025-02-01 00:00:00+00"),
        _entry("tie1", "n"),
        _entry("other", "m"),
        _entry("tie2", "n"),
        _entry("none", "n", created=None),
        _entry("never", "n", created="infinity"),
    ]
    _make_old(dsn, entries)
    with closing(PostgresProvider(f"{dsn[:-1]} {settings}'")) as store:
        history = [json.loads(body) for _, body in store.scan("revision", "n")]
        assert [body["cid"] for body in history] == ["none", "tie1", "tie2", "late", "never"]
        assert [body["created_at"][:10] for body in history[1:4]] == [
            "2025-01-02",
            "2025-01-02",
            "2025-02-01",
        ]
        assert json.loads(store.get(Key("dataset", "n", ""))) == history[-1]


def test_schemas_of_an_earlier_release_are_records(dsn: str) -> None:
    text = json.dumps({"name": "S", "version": "1.0.0", "fields": [], "description": "é\0"})
    _make_old(dsn, [], [("S", "1.0.0", text), ("S", "1.1.0", text)])
    with closing(PostgresProvider(dsn)) as store:
        rows = store.scan("schema", "S")
    assert [key.version for key, _ in rows] == ["1.0.0", "1.1.0"]
    assert json.loads(rows[0][1])["description"] == "é\N{REPLACEMENT CHARACTER}"


def test_a_label_is_a_further_name_of_its_dataset(dsn: str) -> None:
    _make_old(dsn, [_entry("c1", "n", urls=["a"]), _entry("c2", "n", urls=["b"])])
    with psycopg.connect(dsn) as connection:
        connection.execute(LABELS)
    with Index(dsn=dsn) as index:
        assert [entry.name for entry in index.datasets] == ["n", "nice"]
        assert [entry.cid for entry in index.history("n")] == ["c1", "c2", "c1"]
        assert [(one.cid, one.data_urls) for one in index.history("nice")] == [
            ("c1", ["a"]),
            ("c2", ["b"]),
        ]


LABELS = """
CREATE TABLE labels (name TEXT NOT NULL, cid TEXT NOT NULL, version TEXT NOT NULL DEFAULT '',
    description TEXT, created_at TIMESTAMPTZ DEFAULT now(), PRIMARY KEY (name, version));
INSERT INTO labels (name, cid, version, created_at) VALUES
    ('n', 'c1', '', '2025-01-03 00:00:00+00'),
    ('nice', 'c2', '1.9.0', '2025-01-03 00:00:00+00'),
    ('nice', 'c1', '1.10.0', '2025-01-03 00:00:00.5+00'),
    ('gone', 'c3', '', now())
"""


@pytest.mark.parametrize(
    "entry",
    [
        _entry("bad", "n", urls="a.tar"),
        ("bad", "n", SCHEMA_REF, b"\xc1", None, None, None),
        _entry("bad", "n", metadata=[1]),
        _entry("bad", "n" * 2000),
    ],
)
def test_an_unreadable_row_is_left_where_it_is_with_a_warning(
    dsn: str, entry: tuple[Any, ...]
) -> None:
    _make_old(dsn, [entry, _entry("good", "n")])
    with pytest.warns(UserWarning, match="stays in table dataset_entries"):
        store = PostgresProvider(dsn)
    with closing(store):
        assert [key.name for key, _ in store.scan("cid")] == ["good"]


def test_old_rows_are_taken_over_once_and_their_tables_stay(dsn: str) -> None:
    _make_old(dsn, [_entry("c1", "n")], [("S", "1.0.0", '{"fields":[]}')])
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(Key("dataset", "n", ""), ONE)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE dataset_entries SET name = 'm'")
        with closing(PostgresProvider(dsn)) as store:
            assert [key.name for key, _ in store.scan("dataset")] == ["n"]
            assert json.loads(store.get(Key("dataset", "n", ""))) == {"n": 1}
        assert connection.execute("SELECT cid, name FROM dataset_entries").fetchall() == [
            ("c1", "m")
        ]


def test_tables_of_others_that_bear_the_old_names_are_none_of_ours(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE schemas (id INT); CREATE TABLE dataset_entries (id INT)")
    with closing(PostgresProvider(dsn)) as store:
        assert store.scan("dataset") == []
