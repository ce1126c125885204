"""Settings of all tests: a private home, patient property tests, what may be missing."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.services.pds_server import pds_server
from tests.services.postgres_server import own_postgres_server, postgres_server
from tests.services.redis_server import redis_cluster, redis_launcher, redis_server
from tests.services.required import unavailable
from tests.services.s3_server import moto_server, s3_server

if TYPE_CHECKING:
    from pathlib import Path

# Fixtures, which each start a server when a test first asks for it.
__all__ = [
    "moto_server",
    "own_postgres_server",
    "pds_server",
    "postgres_server",
    "redis_cluster",
    "redis_launcher",
    "redis_server",
    "s3_server",
]

# A shell makes what it runs in the background deaf to Ctrl-C, and so would be all the children that
# tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine must not fail a property test for being slow.
settings.register_profile("patient", settings(deadline=None))
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server, so that they can be left out."""
    for item in items:
        needs_server = {*__all__} & {*getattr(item, "fixturenames", ())}
        # The stories ask for theirs by name, when they run.
        if needs_server or item.path.parent.name == "stories":
            item.add_marker("server")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked torch where torch is absent, or fail it where torch is required."""
    if item.get_closest_marker("torch") is None or find_spec("torch") is not None:
        return
    remedy = "torch is not installed; `python -m nox -s torch` runs the tests that need it"
    unavailable("torch", remedy)


@pytest.fixture(autouse=True)
def _private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATDATA_HOME", str(tmp_path / "atdata-home"))
