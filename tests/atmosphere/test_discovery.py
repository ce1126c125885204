"""Discovery and its mirror: accounts of a PDS, and a stand-in for the relay's one listing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.atmosphere.places import Feature, somebody, stranger
from tests.atmosphere.relay import relay_of
from tests.services.pds_server import PdsServer

import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, discover, mirror, search
from atdata.errors import (
    CorruptDataError,
    InvalidNameError,
    LimitExceededError,
    StorageError,
)
from atdata_atmosphere import discovery
from atdata_atmosphere.discovery import DiscoveryWarning, publishers

RECORD = "ac.foundation.dataset.record"
NOBODY = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"


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


def test_n7_a_relay_whose_pages_never_end_is_an_error(
    anyone: AtmosphereClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MAX_PAGES", 30)
    with relay_of([], endless=True) as (relay, asked):
        with pytest.raises(CorruptDataError, match="circles"):
            list(publishers(anyone, relay=relay))
        assert len(asked) == 1
    with relay_of([NOBODY], endless=True) as (relay, asked):
        with pytest.raises(LimitExceededError, match="pages"):
            list(publishers(anyone, relay=relay))
        assert len(asked) == 30


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


def test_a_record_that_changes_back_is_a_new_revision_again(
    pds_server: PdsServer, anyone: AtmosphereClient
) -> None:
    with somebody(pds_server) as client, atdata.Index() as index:
        entry = AtmosphereIndex(client).insert_dataset(
            atdata.Dataset[Feature]("https://example.org/0.tar"), name="d", description="a"
        )
        record, rkey = client.get_record(entry.uri), entry.uri.rpartition("/")[2]
        for said in "aba":
            client.put_record(RECORD, rkey, {**record, "description": said})
            assert mirror(index, anyone, repos=[client.did]).added == 1
        assert mirror(index, anyone, repos=[client.did]).known == 1
        [found] = search(index)
        assert (found.metadata or {})["atmosphere"]["description"] == "a"


def test_records_that_no_dataset_can_be_called_after_are_mirrored_all_the_same(
    pds_server: PdsServer, anyone: AtmosphereClient
) -> None:
    with somebody(pds_server) as client, atdata.Index() as index:
        entry = AtmosphereIndex(client).insert_dataset(
            atdata.Dataset[Feature]("https://example.org/0.tar"), name="good"
        )
        record = client.get_record(entry.uri)
        odd = client.create_record(RECORD, {**record, "name": "{odd}"}, rkey="x.")
        report = mirror(index, anyone, repos=[client.did])
        assert (report.added, report.failures) == (2, {})
        assert {one.data_urls[0] for one in search(index)} == {entry.uri, str(odd)}


def test_a_mirror_that_was_cut_short_says_so(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with relay_of([one.did for one in people]) as (relay, _), atdata.Index() as index:
        first = mirror(index, anyone, relay=relay, max_repos=2)
        assert (first.added, first.is_complete) == (4, False)
        rest = mirror(index, anyone, relay=relay, after=first.position, max_repos=2)
        assert rest.is_complete
        assert len(list(search(index))) == 6
        assert mirror(index, anyone, relay=relay, max_repos=3).is_complete


def test_only_what_a_mirror_wrote_is_found(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with atdata.Index() as index:
        mirror(index, anyone, repos=[people[0].did])
        [said] = [(one.metadata or {})["atmosphere"] for one in search(index, "cats")]
        forged = atdata.Dataset[Feature]("https://example.org/forged.tar")
        for number, metadata in enumerate([said, {**said, "tags": 3}, {"uri": []}, 7]):
            index.add_entry(forged, name=f"forged-{number}", metadata={"atmosphere": metadata})
        assert len(list(search(index))) == 2


def test_who_cannot_be_found_does_not_keep_others_from_being_mirrored(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    with atdata.Index() as index:
        report = mirror(index, anyone, repos=["nobody-at-all.test", people[0].did])
    assert list(report.failures) == ["nobody-at-all.test"]
    assert report.added == 2


def test_a_local_index_that_fails_stops_a_mirror(
    people: list[AtmosphereClient], anyone: AtmosphereClient
) -> None:
    index = atdata.Index()
    index.close()
    with pytest.raises(StorageError):
        mirror(index, anyone, repos=[people[0].did])
