"""What is peculiar to the PostgreSQL index: its values, its order, its sessions, its views."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.backends.wire import open_through_wire
from tests.sample_types import items
from tests.services.postgres_server import Place
from tests.test_documents import ROOT, run

from atdata import Index
from atdata.errors import ConflictError, CorruptDataError, StorageError
from atdata.index import LocalDatasetEntry
from atdata.index.bodies import is_same_body
from atdata.index.provider import ABSENT, Delete, Key, Put
from atdata.protocols import AbstractIndex
from atdata.testing import IndexProviderTests, IndexTests
from atdata_postgres.provider import PostgresProvider

KEY = Key("kind", "name", "")
ONE, TWO = b'{"n":1}', b'{"n":2}'


class TestPostgresProvider(IndexProviderTests):
    @pytest.fixture
    def options(self, postgres_server: Place) -> dict[str, Any]:
        return {"provider": "postgres", "dsn": postgres_server.fresh_dsn()}


class TestIndexInPostgres(IndexTests):
    @pytest.fixture
    def open_index(self, postgres_server: Place) -> Iterator[Callable[[], AbstractIndex]]:
        dsn = postgres_server.fresh_dsn()
        with ExitStack() as stack:
            yield lambda: stack.enter_context(Index(dsn=dsn, allow=["/"]))


@pytest.fixture
def dsn(postgres_server: Place) -> str:
    return postgres_server.fresh_dsn()


@pytest.fixture
def store(dsn: str) -> Iterator[PostgresProvider]:
    with closing(PostgresProvider(dsn)) as provider:
        yield provider


def _select(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "number", ["1e308", "-1.7976931348623157e308", "5e-324", "0.1", "1.10", "-0.0", "9" * 4000]
)
def test_numbers_keep_every_digit(store: PostgresProvider, number: str) -> None:
    body = b'{"n":%s}' % number.encode()
    store.commit([Put(KEY, body)])
    assert is_same_body(store.get(KEY), body)
    store.commit([Delete(KEY, expect=body)])


@pytest.mark.parametrize("number", ["1e-20000", "0." + "1" * 20000])
def test_a_number_that_jsonb_would_round_is_refused(store: PostgresProvider, number: str) -> None:
    with pytest.raises(CorruptDataError):
        store.commit([Put(KEY, b'{"n":%s}' % number.encode())])
    store.commit([Put(KEY, ONE)])


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(number=1.2345678901234567e19)
@example(number=float(2**64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_floats_in_metadata_are_read_back_as_the_same_json(
    store: PostgresProvider, number: float
) -> None:
    entry = LocalDatasetEntry("a", "b", ["c"], {"n": number}).to_record()
    store.commit([Put(KEY, entry)])
    assert is_same_body(LocalDatasetEntry.from_record(store.get(KEY)).to_record(), entry)


def test_keys_are_in_bytewise_order_whatever_the_locale_of_the_database(dsn: str) -> None:
    names = ["a", "B", "é", "Z", "_", "-a", "a b", "ab"]
    query = "SELECT name FROM unnest(%s::text[]) AS name ORDER BY name"
    with psycopg.connect(dsn) as connection:
        by_locale = [name for (name,) in connection.execute(query, (names,))]
    if by_locale == sorted(names):
        pytest.skip("this server knows no locale but C")
    with closing(PostgresProvider(dsn)) as store:
        store.commit(Put(Key("k", name, ""), ONE) for name in names)
        assert [key.name for key, _ in store.scan("k")] == sorted(names)
        page = store.scan("k", after=Key("k", "Z", ""), limit=2)
        assert [key.name for key, _ in page] == ["_", "a"]


def test_bodies_are_native_json(store: PostgresProvider, dsn: str) -> None:
    store.commit([Put(KEY, b'{"n":1.10}')])
    query = "SELECT (body->'n')::numeric, pg_typeof(body)::text FROM atdata_records"
    assert _select(dsn, query) == [(Decimal("1.10"), "jsonb")]


def test_people_find_datasets_and_schemas_with_sql(dsn: str) -> None:
    with Index(dsn=dsn) as index:
        entry = index.write(items(2), name="pairs", metadata={"kept": [1]})
        index.write(items(1), name="pairs")
    rows = _select(
        dsn,
        "SELECT name, revision, cid, schema_ref, shards, samples, bytes, metadata,"
        " created_at <= now() FROM atdata_datasets",
    )
    assert rows[0][:2] == ("pairs", 2)
    assert rows[0][3:6] == (entry.schema_ref, 1, 1)
    assert rows[0][6] > 0
    assert rows[0][7:] == (None, True)
    assert len(_select(dsn, "SELECT name, version, fields FROM atdata_schemas")) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"revision":"x","created_at":"yesterday","shards":5,"metadata":null}',
        b'{"created_at":"2024-99-99T00:00:00Z","createdAt":"2024-02-30T00:00:00Z"}',
        b'{"shards":[%s]}' % b",".join([b'{"bytes":999999999999999}'] * 10_000),
        b'{"revision":1e300,"created_at":7,"shards":[1,{"bytes":"x"}],"data_urls":{}}',
    ],
)
def test_an_odd_record_does_not_break_the_views(
    store: PostgresProvider, dsn: str, body: bytes
) -> None:
    store.commit([Put(Key("dataset", "odd", ""), body), Put(Key("schema", "odd", "1"), body)])
    assert len(_select(dsn, "SELECT * FROM atdata_datasets")) == 1
    assert len(_select(dsn, "SELECT * FROM atdata_schemas")) == 1


TIMES = [
    *("00:00:00Z", "23:59:59.999999999+14:59", "12:34-08:00", "12:34:56.7", "24:00:00Z", "12:60Z"),
    *("00:00:60Z", "00:00:00+24:00", "00:00:00 PST", "1:00", "", "00:00:00Z\n", "00:00Zz"),
]


def test_the_views_tell_each_time_that_there_is_and_null_for_others(
    store: PostgresProvider, dsn: str
) -> None:
    years = (0, 1, 4, 1900, 2000, 2023, 2024, 2100, 9999)
    parts = product(years, range(14), range(33))
    times = {f"{year:04}-{month:02}-{day:02}T00:00:00Z" for year, month, day in parts}
    times |= {f"2024-02-29T{time}" for time in TIMES}
    bodies = {time: json.dumps({"created_at": time, "createdAt": time}).encode() for time in times}
    store.commit(Put(Key("dataset", time, ""), body) for time, body in bodies.items())
    store.commit(Put(Key("schema", time, "1"), body) for time, body in bodies.items())
    expected = {time for time in times if time.endswith("T00:00:00Z") and _is_date(time[:10])}
    expected |= {f"2024-02-29T{time}" for time in TIMES[:4]}
    for view in ("atdata_datasets", "atdata_schemas"):
        query = f"SELECT name FROM {view} WHERE extract(epoch FROM created_at) IS NOT NULL"
        assert {name for (name,) in _select(dsn, query)} == expected


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


@given(moment=st.datetimes(timezones=st.timezones()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_views_tell_the_times_that_python_writes(
    store: PostgresProvider, dsn: str, moment: dt.datetime
) -> None:
    written = moment.isoformat()
    # Before standard time, offsets had seconds.
    assume(written[-3] == ":" and written[-6] in "+-")
    body = json.dumps({"created_at": written}).encode()
    store.commit([Put(Key("dataset", "mine", ""), body)])
    query = f"SELECT created_at = '{written}'::timestamptz FROM atdata_datasets"
    assert _select(dsn, query) == [(True,)]


def _sessions(place: Place, name: str) -> list[str]:
    with place.admin() as connection:
        query = "SELECT state FROM pg_stat_activity WHERE application_name = %s"
        return [state for (state,) in connection.execute(query, (name,))]


def test_b3_no_call_leaves_a_transaction_open(postgres_server: Place, dsn: str) -> None:
    name = "test-b3"
    store = PostgresProvider(make_conninfo(dsn, application_name=name))
    calls: list[Any] = [
        lambda: store.commit([Put(KEY, ONE)]),
        lambda: store.get(KEY),
        lambda: store.scan("kind"),
        lambda: store.commit([]),
        lambda: store.commit([Put(KEY, TWO, ABSENT)]),
        lambda: store.commit([Put(KEY, b'{"n":1e-20000}')]),
    ]
    with closing(store):
        for call in calls:
            with suppress(ConflictError, CorruptDataError):
                call()
            assert _wait_for(postgres_server, name, ["idle"])
    assert _wait_for(postgres_server, name, [])


def _wait_for(place: Place, name: str, states: list[str]) -> bool:
    # The server shows what a session did a moment after the session was told.
    for _ in range(100):
        if _sessions(place, name) == states:
            return True
        time.sleep(0.02)
    return False


def test_many_threads_share_five_connections(postgres_server: Place, dsn: str) -> None:
    name = "test-pool"
    provider = PostgresProvider(make_conninfo(dsn, application_name=name))
    with closing(provider), ThreadPoolExecutor(12) as threads:
        with psycopg.connect(dsn) as other:
            other.execute("LOCK TABLE atdata_records")
            waiting = [threads.submit(provider.scan, "kind") for _ in range(12)]
            assert _wait_for(postgres_server, name, ["active"] * 5)
            time.sleep(0.2)
            assert _sessions(postgres_server, name) == ["active"] * 5
        assert [one.result() for one in waiting] == [[]] * 12


def test_what_the_dsn_says_of_the_session_wins(postgres_server: Place, dsn: str) -> None:
    with closing(PostgresProvider(dsn)) as provider:
        provider.commit([Put(KEY, ONE)])
        assert _sessions(postgres_server, "atdata") != []
    options = f"{conninfo_to_dict(dsn)['options']} -c lock_timeout=100ms"
    chosen = make_conninfo(dsn, options=options, application_name="mine")
    with closing(PostgresProvider(chosen)) as provider, psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE atdata_records")
        with pytest.raises(StorageError, match="locked"):
            provider.get(KEY)
        assert _sessions(postgres_server, "mine") != []


def test_a_get_takes_two_round_trips_and_so_does_a_page(dsn: str) -> None:
    with open_through_wire(dsn) as (wire, store):
        store.commit(Put(Key("k", f"{number}", ""), ONE) for number in range(100))
        store.get(Key("k", "1", ""))
        for read in (lambda: store.get(Key("k", "1", "")), lambda: store.scan("k", limit=50)):
            before = wire.round_trips
            read()
            assert wire.round_trips - before == 2


def test_a_commit_takes_no_more_round_trips_for_five_hundred_records(dsn: str) -> None:
    with open_through_wire(dsn) as (wire, store):
        counts = []
        for kind, records in (("first", 1), ("few", 1), ("many", 500)):
            before = wire.round_trips
            store.commit(Put(Key(kind, f"{at}", ""), ONE, ABSENT) for at in range(records))
            counts.append(wire.round_trips - before)
        assert counts[1] == 6
        # A large request is answered in parts while it is still being sent.
        assert counts[2] < 30


def test_the_tokens_of_commits_do_not_pile_up(store: PostgresProvider, dsn: str) -> None:
    for _ in range(20):
        store.commit([Put(KEY, ONE)])
    assert _select(dsn, "SELECT count(*) FROM atdata_commits") == [(1,)]


def test_the_tokens_of_dead_processes_are_swept(store: PostgresProvider, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO atdata_commits SELECT gen_random_uuid(), now() - interval '2 days'"
            " FROM generate_series(1, 9)"
        )
    store.commit([Put(KEY, ONE)])
    assert _select(dsn, "SELECT count(*) FROM atdata_commits") == [(1,)]


def test_f2_a_handle_shows_no_password_and_is_pickled_as_its_dsn(postgres_server: Place) -> None:
    dsn = postgres_server.fresh_dsn()
    password = conninfo_to_dict(dsn)["password"]
    with closing(PostgresProvider(dsn)) as store:
        assert str(password) not in repr(store)
        assert "dbname=atdata_" in repr(store)
        with closing(pickle.loads(pickle.dumps(store))) as copy:
            assert repr(copy) == repr(store)


def test_a_password_from_elsewhere_is_not_pickled(
    postgres_server: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(postgres_server.fresh_dsn())
    password = str(parts.pop("password"))
    monkeypatch.setenv("PGPASSWORD", password)
    with closing(PostgresProvider(make_conninfo("", **parts))) as store:
        store.commit([Put(KEY, ONE)])
        assert password.encode() not in pickle.dumps(store)


def test_the_page_on_postgres_runs(
    postgres_server: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = conninfo_to_dict(postgres_server.dsn)
    for name in ("host", "port", "user", "password"):
        monkeypatch.setenv(f"PG{name.upper()}", str(given[name]))
    with postgres_server.admin() as connection:
        connection.execute("CREATE DATABASE datasets TEMPLATE template0 ENCODING 'UTF8'")
    try:
        done = run(ROOT / "docs" / "postgres.md", tmp_path)
    finally:
        with postgres_server.admin() as connection:
            connection.execute("DROP DATABASE datasets WITH (FORCE)")
    assert done.returncode == 0, done.stderr
