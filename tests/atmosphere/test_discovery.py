"""Discovery and its mirror: accounts of a PDS, and a stand-in for the relay's one listing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.atmosphere.places import Feature, somebody, stranger
from tests.services.pds_server import PdsServer

import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, discover, mirror, search
from atdata.errors import CorruptDataError, InvalidNameError
from atdata_atmosphere.discovery import DiscoveryWarning, publishers

RECORD = "ac.foundation.dataset.record"
NOBODY = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"


@contextmanager
def relay_of(dids: list[str], *, circles: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Run a relay that lists some DIDs two by two; give its address and the cursors asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {key: one[0] for key, one in parse_qs(urlsplit(self.path).query).items()}
            start = int(query.get("cursor", 0))
            asked.append(f"{query['collection']} {start}")
            known = dids if query["collection"] == RECORD else dids[:1]
            body: dict[str, Any] = {"repos": [{"did": did} for did in known[start : start + 2]]}
            if start + 2 < len(known):
                body["cursor"] = str(0 if circles else start + 2)
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture(scope="module")
def people(pds_server: PdsServer) -> Iterator[list[AtmosphereClient]]:
    """Give three accounts, each with two datasets."""
    with ExitStack() as stack:
        clients = [stack.enter_context(somebody(pds_server, name)) for name in ("ann", "ben", "cy")]
        for client in clients:
            index = AtmosphereIndex(client)
            for name in ("cats", "dogs"):
                index.insert_dataset(
                    atdata.Dataset[Feature](f"https://example.org/{name}.tar"),
                    name=name,
                    tags=[name, "animals"],
                    description=f"Pictures of {name}",
                    metadata={"lr": 0.5},
                )
        yield clients


@pytest.fixture
def anyone(pds_server: PdsServer) -> AtmosphereClient:
    return stranger(pds_server)


def test_datasets_are_found_across_repositories(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with relay_of([one.did for one in people]) as (relay, _):
        found = list(discover(anyone, relay=relay))
        assert {(one.publisher, one.name) for one in found} == {
            (one.did, name) for one in people for name in ("cats", "dogs")
        }
        assert len(found) == 6
        assert len(list(discover(anyone, relay=relay, max_repos=2))) == 4
        assert len(list(discover(anyone, relay=relay, max_records=1))) == 3


def test_discovery_goes_on_where_it_stopped(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with relay_of([one.did for one in people]) as (relay, asked):
        everyone = list(publishers(anyone, relay=relay))
        assert [one.did for one in everyone] == [one.did for one in people]
        asked.clear()
        rest = publishers(anyone, relay=relay, after=everyone[1].position)
        assert next(rest).did == people[2].did
        assert asked == [f"{RECORD} 0", f"{RECORD} 2"]
        with pytest.raises(InvalidNameError, match="position"):
            list(publishers(anyone, relay=relay, after="nonsense"))


def test_n7_a_relay_that_goes_in_circles_is_an_error(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    dids = [one.did for one in people]
    with (
        relay_of(dids, circles=True) as (relay, _),
        pytest.raises(CorruptDataError, match="circles"),
    ):
        list(publishers(anyone, relay=relay))


def test_a_publisher_who_cannot_be_asked_is_left_out_and_named(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with relay_of([NOBODY, people[0].did]) as (relay, _):
        with pytest.warns(DiscoveryWarning, match=NOBODY):
            assert len(list(discover(anyone, relay=relay))) == 2
        failed: list[str] = []
        list(discover(anyone, relay=relay, failed=lambda did, _: failed.append(did)))
        assert failed == [NOBODY]


def test_a_mirror_is_searched_offline_by_everything_it_holds(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with relay_of([one.did for one in people]) as (relay, asked), atdata.Index() as index:
        report = mirror(index, anyone, relay=relay)
        assert (report.added, report.known, report.failures) == (6, 0, {})
        again = mirror(index, anyone, relay=relay)
        assert (again.added, again.known) == (0, 6)
        asked.clear()
        ben = people[1]
        [cats] = search(index, "cats", publisher=ben.handle)
        assert cats.name == f"{ben.handle}/cats"
        assert cats.metadata is not None
        assert cats.metadata["lr"] == 0.5
        assert len(list(search(index, tag="dogs"))) == 3
        assert len(list(search(index, field="label"))) == 6
        assert list(search(index, field="nothing")) == []
        assert list(search(index, "PICTURES", publisher=people[0].did, tag="dogs"))
        assert index.get_dataset(cats.name).data_urls == cats.data_urls
        assert asked == []
    found = AtmosphereIndex(anyone).get_dataset(cats.data_urls[0])
    assert found.description == "Pictures of cats"


def test_a_changed_dataset_is_a_new_revision_and_a_broken_one_is_reported(
    pds_server: PdsServer, anyone: AtmosphereClient
) -> None:
    with somebody(pds_server) as client, atdata.Index() as index:
        theirs = AtmosphereIndex(client)
        first = theirs.insert_dataset(
            atdata.Dataset[Feature]("https://example.org/0.tar"), name="d", description="first"
        )
        client.create_record(RECORD, {"$type": RECORD, "name": "broken"})
        record = {**client.get_record(first.uri), "name": "../odd {name}"}
        client.create_record(RECORD, record)
        report = mirror(index, anyone, repos=[client.handle])
        assert report.added == 2
        [(uri, reason)] = report.failures.items()
        assert uri.startswith(f"at://{client.did}/")
        assert "schemaRef" in reason or "storage" in reason
        theirs.insert_dataset(
            atdata.Dataset[Feature]("https://example.org/1.tar"), name="d", description="second"
        )
        assert mirror(index, anyone, repos=[client.did]).added == 1
        newest = index.get_dataset(f"{client.handle}/d")
        assert newest.revision == 2
        assert newest.metadata is not None
        assert newest.metadata["atmosphere"]["description"] == "second"
