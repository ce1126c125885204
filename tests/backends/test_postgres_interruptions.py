"""The PostgreSQL index while sessions are ended, answers lost and servers killed."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.backends.wire import open_through_wire
from tests.services.postgres_server import OwnServer, Place

from atdata.errors import ConflictError, StorageError
from atdata.index.provider import ABSENT, Delete, Key, Put
from atdata_postgres.provider import PostgresProvider

KEY = Key("kind", "name", "")
ONE, TWO = b'{"n":1}', b'{"n":2}'
RECOVERY_SECONDS = 10


@pytest.fixture
def dsn(postgres_server: Place) -> str:
    return postgres_server.fresh_dsn()


def _is_commit(data: bytes) -> bool:
    return b"COMMIT\0" in data


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_b1_a_commit_whose_answer_is_lost_takes_place_once(dsn: str, cut: str) -> None:
    with open_through_wire(dsn) as (wire, store):
        store.commit([Put(KEY, ONE)])
        setattr(wire, cut, _is_commit)
        store.commit([Put(KEY, TWO, expect=ONE), Put(Key("kind", "new", ""), ONE, ABSENT)])
        assert getattr(wire, cut) is None
        assert json.loads(store.get(KEY)) == {"n": 2}
        setattr(wire, cut, _is_commit)
        store.commit([Delete(KEY, expect=TWO)])
        assert [key.name for key, _ in store.scan("kind")] == ["new"]


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_b1_what_others_did_since_a_lost_answer_is_not_undone(dsn: str, cut: str) -> None:
    with open_through_wire(dsn) as (wire, store), closing(PostgresProvider(dsn)) as other:

        def overtake(data: bytes) -> bool:
            if _is_commit(data) and not overtaken:
                overtaken.append(True)
                return True
            return False

        overtaken: list[bool] = []
        store.commit([Put(KEY, ONE)])
        setattr(wire, cut, overtake)
        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(store.commit, [Put(KEY, TWO)])
            while not overtaken:
                time.sleep(0.001)
            other.commit([Put(KEY, b'{"n":3}')])
            writing.result()
        assert json.loads(store.get(KEY)) in ({"n": 2}, {"n": 3})


def test_b1_reads_go_on_over_a_new_session(dsn: str, postgres_server: Place) -> None:
    with closing(PostgresProvider(f"{dsn} application_name=b1-reads")) as store:
        store.commit([Put(KEY, ONE)])
        for read in (lambda: store.get(KEY), lambda: store.scan("kind")):
            _end_sessions(postgres_server, "b1-reads")
            assert read()


def test_b2_a_failed_statement_does_not_poison_the_next_call(dsn: str) -> None:
    with closing(PostgresProvider(dsn)) as store, psycopg.connect(dsn, autocommit=True) as other:
        store.commit([Put(KEY, ONE)])
        other.execute("ALTER TABLE atdata_records RENAME TO away")
        for use in (lambda: store.get(KEY), lambda: store.commit([Put(KEY, TWO)])):
            with pytest.raises(StorageError, match="open the index again"):
                use()
        other.execute("ALTER TABLE away RENAME TO atdata_records")
        store.commit([Put(KEY, TWO, expect=ONE)])
        assert json.loads(store.get(KEY)) == {"n": 2}


FAIL_AT_FIRST = """
CREATE SEQUENCE calls;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('calls') <= {times} THEN
        RAISE EXCEPTION 'not now' USING ERRCODE = '{state}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE INSERT ON atdata_records FOR EACH ROW EXECUTE FUNCTION fail();
"""


def _fail_at_first(dsn: str, times: int, state: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(FAIL_AT_FIRST.format(times=times, state=state))


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_b4_a_commit_that_lost_against_others_is_tried_again(dsn: str, state: str) -> None:
    with closing(PostgresProvider(dsn)) as store:
        _fail_at_first(dsn, 4, state)
        store.commit([Put(KEY, ONE, ABSENT)])
        assert json.loads(store.get(KEY)) == {"n": 1}


def test_b4_a_commit_that_always_loses_is_given_up(dsn: str) -> None:
    with closing(PostgresProvider(dsn)) as store:
        _fail_at_first(dsn, 5, "40001")
        with pytest.raises(ConflictError, match="try again"):
            store.commit([Put(KEY, ONE)])
        store.commit([Put(KEY, ONE, ABSENT)])


def test_b4_writers_that_wait_for_each_other_both_succeed(dsn: str) -> None:
    keys = [Key("k", f"{number}", "") for number in range(40)]
    with closing(PostgresProvider(dsn)) as store:
        store.commit(Put(key, b'{"n":0}') for key in keys)
        locked = threading.Barrier(2)

        def lock_backwards() -> None:
            with psycopg.connect(dsn) as connection:
                lock = "SELECT 1 FROM atdata_records WHERE name = %s FOR UPDATE"
                connection.execute("SET deadlock_timeout = '10s'")
                connection.execute(lock, (keys[-1].name,))
                locked.wait()
                time.sleep(0.2)
                connection.execute(lock, (keys[0].name,))

        with ThreadPoolExecutor(1) as threads:
            locking = threads.submit(lock_backwards)
            locked.wait()
            store.commit(Put(key, ONE) for key in sorted(keys))
            locking.result()
        assert {body for _, body in store.scan("k")} == {b'{"n": 1}'}


def test_b1_b3_writers_whose_sessions_are_ended_lose_and_double_nothing(
    dsn: str, postgres_server: Place
) -> None:
    _write_while(dsn, lambda: _end_sessions(postgres_server, "writers"), rounds=30, pause=0.05)


@pytest.mark.slow
def test_b1_writers_whose_sessions_are_ended_for_a_minute_lose_and_double_nothing(
    dsn: str, postgres_server: Place
) -> None:
    _write_while(dsn, lambda: _end_sessions(postgres_server, "writers"), rounds=300, pause=0.05)


def test_b5_writers_lose_and_double_nothing_when_the_server_is_killed(
    own_postgres_server: OwnServer,
) -> None:
    server = own_postgres_server
    _write_while(server.place.dsn, server.restart_immediately, rounds=2, pause=0.5)


@pytest.mark.slow
def test_b5_writers_lose_and_double_nothing_when_the_server_is_killed_twenty_times(
    own_postgres_server: OwnServer,
) -> None:
    server = own_postgres_server
    _write_while(server.place.dsn, server.restart_immediately, rounds=20, pause=0.7)


def test_b5_the_next_read_after_a_restart_succeeds(own_postgres_server: OwnServer) -> None:
    server = own_postgres_server
    with closing(PostgresProvider(server.place.dsn)) as store, ThreadPoolExecutor(1) as threads:
        store.commit([Put(KEY, ONE)])
        server.stop_immediately()
        reading = threads.submit(store.get, KEY)
        time.sleep(1)
        server.start()
        assert json.loads(reading.result(RECOVERY_SECONDS)) == {"n": 1}


def test_a_server_that_stays_away_is_an_error_in_the_end(own_postgres_server: OwnServer) -> None:
    server = own_postgres_server
    with closing(PostgresProvider(server.place.dsn)) as store:
        server.stop()
        # Both at once, as each waits for as long as a client's patience lasts.
        with ThreadPoolExecutor() as threads:
            reading = threads.submit(store.get, KEY)
            writing = threads.submit(store.commit, [Put(KEY, TWO)])
            with pytest.raises(StorageError, match="check that the server runs"):
                reading.result(30)
            with pytest.raises(StorageError, match="whether the change was made is not known"):
                writing.result(30)
        server.start()
        store.commit([Put(KEY, ONE)])


def _end_sessions(place: Place, name: str) -> None:
    with place.admin() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        connection.execute(query, (name,))


def _write_while(dsn: str, disturb: Callable[[], None], *, rounds: int, pause: float) -> None:
    """Let eight writers count, each in a record of its own, while something happens to them.

    A write that was lost or done twice makes the next one fail, which expects its predecessor.
    """
    stop = threading.Event()
    chance = random.Random(rounds)
    named = make_conninfo(dsn, application_name="writers")
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(PostgresProvider(named))) for _ in range(8)]
        threads = stack.enter_context(ThreadPoolExecutor(8))
        stack.callback(stop.set)
        writing = [threads.submit(_count, store, at, stop) for at, store in enumerate(stores)]
        for _ in range(rounds):
            time.sleep(chance.uniform(pause / 2, pause))
            disturb()
        stop.set()
        counted = [one.result() for one in writing]
        assert [json.loads(body)["n"] for _, body in stores[0].scan("count")] == counted
        assert len(stores[0].scan("entry")) == sum(counted)
    assert min(counted) > 0


def _count(store: PostgresProvider, writer: int, stop: threading.Event) -> int:
    # Coverage would slow the writers down until nothing happens at once.
    sys.settrace(None)
    key = Key("count", f"{writer}", "")
    store.commit([Put(key, b'{"n":0}', ABSENT)])
    number = 0
    while not stop.is_set():
        number += 1
        put = Put(key, b'{"n":%d}' % number, expect=b'{"n":%d}' % (number - 1))
        store.commit([put, Put(Key("entry", f"{writer}", f"{number:08d}"), b"{}", ABSENT)])
        assert json.loads(store.get(key)) == {"n": number}
    return number
