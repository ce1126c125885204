"""What the PostgreSQL index says when it cannot be opened or used: one clear error, no secret."""

from __future__ import annotations

import json
import logging
import pickle
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.services.postgres_server import OwnServer, Place

from atdata import Index
from atdata.errors import AtdataError, IndexCorruptError, InvalidNameError, StorageError
from atdata.index.provider import Key, Put
from atdata_postgres.provider import POOL_SIZE, PostgresProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'
SECRET = "canary-5c1d"


@pytest.fixture
def dsn(postgres_server: Place) -> str:
    return postgres_server.fresh_dsn()


def _fails(call: Callable[[], Any], kind: type[AtdataError], words: str) -> None:
    """Expect one of our errors, in which no password is to be found, wherever one looks."""
    with pytest.raises(kind, match=words) as caught:
        call()
    shown = [repr(caught.value), *traceback.format_exception(caught.value)]
    for error in _chain(caught.value):
        shown += [repr(error), repr(vars(error))]
    assert SECRET not in "".join(shown)
    assert SECRET.encode() not in pickle.dumps(caught.value)
    assert "\n" not in str(caught.value)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _opening(dsn: str, **parts: Any) -> Callable[[], Any]:
    return lambda: Index(dsn=make_conninfo(dsn, **{"password": SECRET, **parts}))


def test_a_wrong_password(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _fails(_opening(dsn), StorageError, "user and password given")
    assert SECRET not in caplog.text


def test_an_unknown_database(postgres_server: Place, dsn: str) -> None:
    password = conninfo_to_dict(dsn)["password"]
    unknown = _opening(dsn, dbname="no_such_place", password=password)
    _fails(unknown, StorageError, "no_such_place.*check that")


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    dsn = f"postgresql://me:{SECRET}@127.0.0.1:{port}/db"
    started = time.monotonic()
    message = f"127.0.0.1:{port}.*: Connection refused; check that the server runs"
    _fails(lambda: Index(dsn=dsn), StorageError, message)
    assert time.monotonic() - started < 20


def test_a_host_that_does_not_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dsn = f"postgresql://me:{SECRET}@127.0.0.1:{port}/db?connect_timeout=2"
        started = time.monotonic()
        _fails(lambda: Index(dsn=dsn), StorageError, "timeout")
        assert time.monotonic() - started < 20


def test_a_host_that_does_not_exist() -> None:
    for host in ("no-such-host.invalid", "h" * 80, "a..b"):
        dsn = f"postgresql://me:{SECRET}@{host}/db"
        _fails(partial(Index, dsn=dsn), StorageError, f"{host}.*check that")


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://me:{SECRET}%zz@h/db",
        f"postgresql://me:x/{SECRET}@h/db",
        f"postgresql://me:12/{SECRET}@h/db",
        f"postgresql://me:{SECRET}\0@h/db",
        f"postgresql://me:{SECRET}\ud800@h/db",
        f"postgresql://me:x@{SECRET}@h/db",
        f"postgresql://me:x:{SECRET}@h:port/db",
        f"host=h {SECRET}",
        f"mysql://me:{SECRET}@h/db",
        f"postgresql://me@h/db?pasword={SECRET}",
        f"host=h port={SECRET}",
        f"host=h password='{SECRET}",
        "postgresql://[::1/db",
    ],
)
def test_c1_a_dsn_that_cannot_be_understood_is_not_repeated(dsn: str) -> None:
    _fails(lambda: Index(provider="postgres", dsn=dsn), InvalidNameError, "postgresql://user@host")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_scheme_of_a_url_is_understood(postgres_server: Place, scheme: str) -> None:
    parts = conninfo_to_dict(postgres_server.fresh_database())
    place = f"{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}"
    with Index(dsn=f"{scheme}://{place}/{parts['dbname']}") as index:
        assert list(index.datasets) == []


def test_of_several_hosts_the_one_that_can_be_written_is_taken(dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()[1]
    frozen = "-c default_transaction_read_only=on"
    port, options = (conninfo_to_dict(dsn)[name] for name in ("port", "options"))
    several = make_conninfo(
        dsn,
        host="127.0.0.1,127.0.0.1",
        port=f"{dead},{port}",
        target_session_attrs="read-write",
    )
    with closing(PostgresProvider(several)) as store:
        store.commit([Put(KEY, ONE)])
    refused = make_conninfo(several, options=f"{options} {frozen}")
    _fails(lambda: PostgresProvider(refused), StorageError, "session is read-only; check that")


def test_what_the_environment_says_completes_the_dsn(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(dsn)
    options = parts.pop("options")
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    for name, variable in names.items():
        monkeypatch.setenv(variable, str(parts[name]))
    monkeypatch.setenv("PGOPTIONS", str(options))
    with closing(PostgresProvider(f"dbname={parts['dbname']}")) as store:
        store.commit([Put(KEY, ONE)])
        assert str(parts["password"]) not in repr(store)
    with closing(PostgresProvider(dsn)) as store:
        assert len(store.scan("kind")) == 1


def test_a_password_file_and_a_service_file_are_read(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts = conninfo_to_dict(dsn)
    passwords, services = tmp_path / "pgpass", tmp_path / "services"
    passwords.write_text(f"*:*:*:*:{parts.pop('password')}\n")
    passwords.chmod(0o600)
    settings = "".join(f"{name}={value}\n" for name, value in parts.items())
    services.write_text(f"[team]\n{settings}")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    with closing(PostgresProvider("service=team")) as store:
        store.commit([Put(KEY, ONE)])
    with closing(PostgresProvider(dsn)) as store:
        assert len(store.scan("kind")) == 1


def test_a_unix_socket_is_an_address(own_postgres_server: OwnServer) -> None:
    dsn = make_conninfo(own_postgres_server.dsn, host=str(own_postgres_server.socket_directory))
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(KEY, ONE)])
        assert json.loads(store.get(KEY)) == {"n": 1}


ROLE = "reader_of_atdata"


@pytest.fixture
def reader(postgres_server: Place, dsn: str) -> Iterator[str]:
    """Give the DSN of a role that may read what there is, and nothing else."""
    schema = str(conninfo_to_dict(dsn)["options"]).rpartition("=")[2]
    with postgres_server.admin(dsn) as connection:
        connection.execute(f"CREATE ROLE {ROLE}_{schema} LOGIN PASSWORD '{SECRET}'")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}_{schema}")
    yield make_conninfo(dsn, user=f"{ROLE}_{schema}", password=SECRET)
    with postgres_server.admin(dsn) as connection:
        connection.execute(f"DROP OWNED BY {ROLE}_{schema}")
        connection.execute(f"DROP ROLE {ROLE}_{schema}")


def test_who_may_not_create_tables_is_told_so(reader: str) -> None:
    _fails(lambda: Index(dsn=reader), StorageError, "permission denied.*rights")


def test_who_may_only_read_can_open_and_read(postgres_server: Place, dsn: str, reader: str) -> None:
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(KEY, ONE)])
    role = conninfo_to_dict(reader)["user"]
    with postgres_server.admin(dsn) as connection:
        connection.execute(f"GRANT SELECT ON atdata_records TO {role}")
    with closing(PostgresProvider(reader)) as store:
        assert [key for key, _ in store.scan("kind")] == [KEY]
        _fails(lambda: store.commit([Put(KEY, ONE)]), StorageError, "permission denied.*rights")


def test_a_server_that_is_read_only(dsn: str) -> None:
    options = f"{conninfo_to_dict(dsn)['options']} -c default_transaction_read_only=on"
    frozen = make_conninfo(dsn, options=options)
    _fails(lambda: PostgresProvider(frozen), StorageError, "read-only, perhaps a replica")
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(KEY, ONE)])
    with closing(PostgresProvider(frozen)) as store:
        assert len(store.scan("kind")) == 1
        _fails(lambda: store.commit([Put(KEY, ONE)]), StorageError, "read-only, perhaps a replica")


def test_a_search_path_that_leads_nowhere(dsn: str) -> None:
    lost = make_conninfo(dsn, options="-c search_path=no_such_schema")
    _fails(lambda: PostgresProvider(lost), StorageError, "to create in; create the schema")


def test_what_keeps_a_commit_waiting_is_said_without_the_statement(dsn: str) -> None:
    options = conninfo_to_dict(dsn)["options"]
    impatient = make_conninfo(dsn, options=f"{options} -c lock_timeout=100")
    with closing(PostgresProvider(impatient)) as store, psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE atdata_records")
        reason = "failed: canceling statement due to lock timeout; another session keeps it locked"
        _fails(lambda: store.commit([Put(KEY, ONE)]), StorageError, reason)


def test_a_database_in_an_encoding_that_holds_no_emoji(postgres_server: Place) -> None:
    dsn = postgres_server.fresh_database("ENCODING 'SQL_ASCII' LOCALE 'C'")
    _fails(lambda: PostgresProvider(dsn), StorageError, "SQL_ASCII.*UTF8")


FOREIGN = {
    "a table": "CREATE TABLE atdata_records (kind TEXT, name TEXT, version TEXT, body JSONB)",
    "a view": "CREATE VIEW atdata_records AS SELECT 1 AS kind",
    "an index": "CREATE TABLE t (x INT); CREATE INDEX atdata_records ON t (x)",
    "a sequence": "CREATE SEQUENCE atdata_records",
    "a table of tokens": "CREATE TABLE atdata_commits (mine INT)",
    "a view of datasets": "CREATE VIEW atdata_datasets AS SELECT 1 AS mine",
    "a commented table": "CREATE TABLE atdata_schemas (x INT);"
    " COMMENT ON TABLE atdata_schemas IS 'my atdata index, format 1'",
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
def test_what_others_call_by_our_names_is_refused_and_left_alone(dsn: str, statements: str) -> None:
    query = (
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statements)
        before = connection.execute(query).fetchall()
        _fails(lambda: PostgresProvider(dsn), IndexCorruptError, "not of an atdata index.*rename")
        assert connection.execute(query).fetchall() == before


def test_a_call_that_gets_no_connection_says_so(dsn: str) -> None:
    with closing(PostgresProvider(dsn)) as store, ExitStack() as stack:
        engine = store._engine  # noqa: SLF001 -- nobody else would wait for half a minute
        engine.pool._timeout = 0.1  # type: ignore[attr-defined]  # noqa: SLF001
        for _ in range(POOL_SIZE):
            stack.enter_context(engine.connect())
        _fails(lambda: store.get(KEY), StorageError, "all its connections are at work; try again")


def test_a_type_of_our_name_is_left_alone(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TYPE atdata_commits AS ENUM ('x')")
        _fails(lambda: PostgresProvider(dsn), StorageError, "already exists; rename what bears")
        assert connection.execute("SELECT to_regclass('atdata_records')").fetchall() == [(None,)]


@pytest.mark.parametrize("number", ["9" * 5000, "٢"])
def test_a_format_that_never_was_is_not_ours(dsn: str, number: str) -> None:
    PostgresProvider(dsn).close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"COMMENT ON TABLE atdata_records IS 'atdata index, format {number}'")
    _fails(lambda: PostgresProvider(dsn), IndexCorruptError, "lacks our comment")


def test_what_a_backup_left_out_is_made_anew_by_whoever_may(
    postgres_server: Place, dsn: str, reader: str
) -> None:
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(KEY, ONE)])
    role = conninfo_to_dict(reader)["user"]
    with postgres_server.admin(dsn) as connection:
        connection.execute("DROP TABLE atdata_commits; DROP VIEW atdata_schemas")
        connection.execute(f"GRANT SELECT ON atdata_records TO {role}")
    with closing(PostgresProvider(reader)) as store:
        assert len(store.scan("kind")) == 1
    with closing(PostgresProvider(dsn)) as store:
        store.commit([Put(KEY, ONE, expect=ONE)])
    with postgres_server.admin(dsn) as connection:
        assert connection.execute("SELECT * FROM atdata_schemas").fetchall() == []


def test_an_index_of_a_newer_format_is_refused(dsn: str) -> None:
    PostgresProvider(dsn).close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("COMMENT ON TABLE atdata_records IS 'atdata index, format 2'")
    _fails(lambda: PostgresProvider(dsn), IndexCorruptError, "format 2.*upgrade atdata-postgres")
