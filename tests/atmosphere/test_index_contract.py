"""The network holds the contract that every index holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.atmosphere.places import somebody
from tests.services.pds_server import PdsServer

from atdata.protocols import AbstractIndex
from atdata.testing import IndexTests
from atdata_atmosphere.client import AtmosphereClient
from atdata_atmosphere.index import AtmosphereIndex
from atdata_atmosphere.listing import iterate_records


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


# An account and its login take a second, and are not what is tested.
@pytest.fixture(scope="module")
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    with somebody(pds_server) as client:
        yield client


class TestAtmosphereIndex(IndexTests):
    @pytest.fixture
    def web(self, tmp_path: Path) -> Iterator[str]:
        handler = partial(_Quiet, directory=str(tmp_path))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()

    @pytest.fixture
    def shard_url(self, web: str) -> Callable[[Path], str]:
        return lambda path: f"{web}{path.name}"

    @pytest.fixture
    def open_index(
        self, client: AtmosphereClient, web: str
    ) -> Iterator[Callable[[], AbstractIndex]]:
        yield lambda: AtmosphereIndex(client, allow=[web])
        for found in [*iterate_records(client, "dataset"), *iterate_records(client, "schema")]:
            client.delete_record(found.uri)
