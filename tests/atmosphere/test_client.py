"""The client against a real PDS: records and blobs, one's own and other people's."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from atproto import Client
from tests.services.fault_proxy import FaultProxy, answer
from tests.services.pds_server import Account, PdsServer

from atdata import packable
from atdata.errors import (
    AuthenticationError,
    ConflictError,
    CorruptDataError,
    FieldError,
    InvalidNameError,
    LimitExceededError,
    NotFoundError,
    StorageError,
    UntrustedInputError,
)
from atdata_atmosphere.client import AtmosphereClient
from atdata_atmosphere.syntax import is_tid, new_tid
from atdata_atmosphere.uri import AtUri

UNKNOWN_DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
UNKNOWN_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@packable
class Published:
    text: str


@pytest.fixture
def collection() -> str:
    """Give a collection that no other test writes to."""
    return f"com.example.c{new_tid()}"


def _record(collection: str, **fields: Any) -> dict[str, Any]:
    return {"$type": collection, **fields}


def test_a_record_comes_back_as_it_was_written(alice: AtmosphereClient, collection: str) -> None:
    record = _record(
        collection, text="ä€😀", none=None, nested={"list": [1, True, {}]}, n=-(2**53) + 1
    )
    uri = alice.create_record(collection, record)
    assert is_tid(uri.rkey)
    assert uri == AtUri(alice.did, collection, uri.rkey)
    assert alice.get_record(uri) == alice.get_record(str(uri)) == record


def test_a_record_is_read_without_a_login_by_did_and_by_handle(
    alice: AtmosphereClient, anyone: AtmosphereClient, collection: str
) -> None:
    uri = alice.create_record(collection, _record(collection, n=1))
    assert anyone.get_record(uri) == {"$type": collection, "n": 1}
    by_handle = anyone.read_record(f"at://{alice.handle}/{collection}/{uri.rkey}")
    assert by_handle.uri == uri
    assert by_handle.cid.startswith("bafyrei")


def test_a_record_is_read_at_its_owners_server_whatever_the_base_url(
    alice: AtmosphereClient, pds_server: PdsServer, collection: str
) -> None:
    uri = alice.create_record(collection, _record(collection))
    elsewhere = "http://127.0.0.1:9"
    client = AtmosphereClient(elsewhere, plc_url=pds_server.plc_url, allow_private=True)
    with closing(client):
        assert client.get_record(uri) == _record(collection)


def test_a_record_is_created_under_a_chosen_key(alice: AtmosphereClient, collection: str) -> None:
    uri = alice.create_record(collection, _record(collection), rkey="my-key")
    assert str(uri) == f"at://{alice.did}/{collection}/my-key"


def test_creating_another_record_under_a_key_is_a_conflict(
    alice: AtmosphereClient, collection: str
) -> None:
    alice.create_record(collection, _record(collection, n=1), rkey="k")
    with pytest.raises(ConflictError, match="InvalidSwap"):
        alice.create_record(collection, _record(collection, n=2), rkey="k")
    assert alice.get_record(f"at://{alice.did}/{collection}/k")["n"] == 1


def test_putting_a_record_replaces_it(alice: AtmosphereClient, collection: str) -> None:
    for n in (1, 2):
        uri = alice.put_record(collection, "k", _record(collection, n=n))
        assert alice.get_record(uri)["n"] == n


def test_putting_a_record_that_has_changed_is_a_conflict(
    alice: AtmosphereClient, collection: str
) -> None:
    uri = alice.put_record(collection, "k", _record(collection, n=1))
    seen = alice.read_record(uri).cid
    alice.put_record(collection, "k", _record(collection, n=2), swap_record=seen)
    with pytest.raises(ConflictError):
        alice.put_record(collection, "k", _record(collection, n=3), swap_record=seen)
    with pytest.raises(ConflictError):
        alice.put_record(collection, "k", _record(collection, n=3), swap_commit=seen)
    with pytest.raises(ConflictError):
        alice.delete_record(uri, swap_commit=seen)
    assert alice.get_record(uri)["n"] == 2


def test_a_deleted_record_is_gone_and_may_be_deleted_again(
    alice: AtmosphereClient, collection: str
) -> None:
    uri = alice.create_record(collection, _record(collection))
    alice.delete_record(uri)
    alice.delete_record(str(uri))
    with pytest.raises(NotFoundError, match="RecordNotFound"):
        alice.get_record(uri)


def test_a_strangers_record_cannot_be_deleted(alice: AtmosphereClient) -> None:
    with pytest.raises(AuthenticationError, match=UNKNOWN_DID):
        alice.delete_record(f"at://{UNKNOWN_DID}/com.example.thing/k")


def test_records_are_listed_in_pages_newest_first(
    alice: AtmosphereClient, anyone: AtmosphereClient, collection: str
) -> None:
    for n in range(5):
        alice.create_record(collection, _record(collection, n=n))
    first, cursor = anyone.list_records(collection, repo=alice.handle, limit=3)
    assert [record["n"] for record in first] == [4, 3, 2]
    rest, end = anyone.list_records(collection, repo=alice.did, limit=3, cursor=cursor)
    assert [record["n"] for record in rest] == [1, 0]
    assert end is None
    assert alice.list_records(collection)[0] == first + rest


def test_more_records_than_a_page_holds_are_listed_at_once(
    alice: AtmosphereClient, collection: str
) -> None:
    for n in range(103):
        alice.create_record(collection, _record(collection, n=n))
    entries, cursor = alice.list_entries(collection, limit=102)
    assert [entry.value["n"] for entry in entries] == list(range(102, 0, -1))
    assert cursor is not None


def test_records_of_each_kind_are_listed_by_name(alice: AtmosphereClient) -> None:
    uri = alice.publish_schema(Published, version="2.0.0")
    schema = alice.get_record(uri)
    assert (schema["name"], schema["version"]) == ("Published", "2.0.0")
    assert schema in alice.list_schemas()
    assert alice.list_schemas(repo=alice.handle, limit=1) != []
    assert all(kept == [] for kept in (alice.list_datasets(limit=0), alice.list_lenses(limit=0)))


def test_an_empty_collection_lists_nothing(anyone: AtmosphereClient, account: Account) -> None:
    assert anyone.list_records("com.example.empty", repo=account.did) == ([], None)


def test_the_repository_of_nobody_is_not_found(anyone: AtmosphereClient) -> None:
    with pytest.raises(NotFoundError, match=UNKNOWN_DID):
        anyone.list_records("com.example.thing", repo=UNKNOWN_DID)


@pytest.mark.parametrize("as_file", [False, True])
def test_a_blob_comes_back_bit_for_bit(
    alice: AtmosphereClient, anyone: AtmosphereClient, collection: str, as_file: bool
) -> None:
    data = bytes(range(256)) * 9001
    ref = alice.upload_blob(io.BytesIO(data) if as_file else data, "application/x-tar")
    assert (ref["$type"], ref["mimeType"], ref["size"]) == ("blob", "application/x-tar", len(data))
    alice.create_record(collection, _record(collection, blob=ref))
    cid = ref["ref"]["$link"]
    assert anyone.get_blob(alice.did, cid) == data
    target = io.BytesIO(b"what was there")
    assert anyone.download_blob(alice.did, cid, target, max_bytes=len(data)) == len(data)
    assert target.getvalue() == data


def test_a_blob_larger_than_expected_is_not_read(
    alice: AtmosphereClient, anyone: AtmosphereClient, collection: str
) -> None:
    ref = alice.upload_blob(bytes(100_000))
    alice.create_record(collection, _record(collection, blob=ref))
    with pytest.raises(LimitExceededError, match="99,999"):
        anyone.download_blob(alice.did, ref["ref"]["$link"], io.BytesIO(), max_bytes=99_999)


def test_a_blob_has_a_url_at_its_owners_server(
    anyone: AtmosphereClient, pds_server: PdsServer, account: Account
) -> None:
    url = anyone.get_blob_url(account.did, UNKNOWN_CID)
    query = f"did={account.did}&cid={UNKNOWN_CID}"
    assert url == f"{pds_server.url}/xrpc/com.atproto.sync.getBlob?{query}"


def test_a_blob_that_no_record_refers_to_is_not_found(
    alice: AtmosphereClient, anyone: AtmosphereClient
) -> None:
    ref = alice.upload_blob(b"unreferenced")
    with pytest.raises(NotFoundError, match="Blob not found"):
        anyone.get_blob(alice.did, ref["ref"]["$link"])


def test_a_record_that_refers_to_no_blob_is_refused(
    alice: AtmosphereClient, collection: str
) -> None:
    blob = {"$type": "blob", "ref": {"$link": UNKNOWN_CID}, "mimeType": "a/b", "size": 1}
    with pytest.raises(NotFoundError, match="BlobNotFound"):
        alice.create_record(collection, _record(collection, blob=blob))


def test_a8_a_blob_over_the_servers_limit_is_refused_by_name(strict_server: PdsServer) -> None:
    client = AtmosphereClient(strict_server.url, plc_url=strict_server.plc_url, allow_private=True)
    with closing(client):
        account = strict_server.new_account()
        client.login(account.handle, account.password)
        limits = client.query("com.atproto.server.describeServer")
        assert limits["blobUploadLimit"] == strict_server.blob_limit
        assert client.upload_blob(bytes(50_000))["size"] == 50_000
        with pytest.raises(LimitExceededError, match="uploadBlob"):
            client.upload_blob(bytes(5_000_000))


def test_too_many_logins_say_when_to_try_again(strict_server: PdsServer) -> None:
    client = AtmosphereClient(strict_server.url, plc_url=strict_server.plc_url, allow_private=True)
    # The server takes a third of a second to refuse each, however many there are at a time.
    with closing(client), ThreadPoolExecutor(16) as pool:
        failures = list(pool.map(_failure_of_login, [client] * 31))
    [busy] = [one for one in failures if not isinstance(one, AuthenticationError)]
    assert 0 < busy.retry_after <= 300


def _failure_of_login(client: AtmosphereClient) -> Any:
    with pytest.raises(StorageError, match=r"nobody\.test") as caught:
        client.login("nobody.test", "wrong")
    return caught.value


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"x": 1.5}, FieldError),
        ({"x": float("nan")}, FieldError),
        ({"x": 2**53}, FieldError),
        ({"x": b"bytes"}, FieldError),
        ({"x": "x" * 1_000_001}, LimitExceededError),
    ],
)
def test_a9_what_no_server_takes_is_refused_before_it_is_asked(
    alice: AtmosphereClient, fields: dict[str, Any], error: type[Exception]
) -> None:
    alice.close()
    with pytest.raises(error):
        alice.create_record("com.example.thing", _record("com.example.thing", **fields))
    with pytest.raises(error):
        alice.put_record("com.example.thing", "k", _record("com.example.thing", **fields))


def test_a9_a_record_nested_too_deep_is_refused(alice: AtmosphereClient) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(LimitExceededError, match="deep"):
        alice.create_record("com.example.thing", _record("com.example.thing", deep=deep))


@pytest.mark.parametrize("record", [{}, {"$type": "com.example.other"}])
def test_a_record_must_say_what_it_is(alice: AtmosphereClient, record: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match=r"\$type"):
        alice.create_record("com.example.thing", record)


def test_names_are_checked_before_a_server_is_asked(alice: AtmosphereClient) -> None:
    record = _record("com.example.thing")
    with pytest.raises(InvalidNameError, match="collection"):
        alice.create_record("thing", record)
    with pytest.raises(InvalidNameError, match="record key"):
        alice.put_record("com.example.thing", "a/b", record)
    with pytest.raises(InvalidNameError, match="at://"):
        alice.get_record("https://example.com")
    with pytest.raises(InvalidNameError, match="collection"):
        alice.list_records("../com.atproto")
    with pytest.raises(InvalidNameError, match="CID"):
        alice.get_blob(alice.did, "&did=x")


def test_an_unknown_lexicon_cannot_be_validated(alice: AtmosphereClient, collection: str) -> None:
    with pytest.raises(StorageError, match="Unknown lexicon"):
        alice.create_record(collection, _record(collection), validate=True)


def test_nobody_writes_without_a_login(anyone: AtmosphereClient) -> None:
    acts: list[Callable[[], object]] = [
        lambda: anyone.did,
        lambda: anyone.handle,
        anyone.export_session,
        lambda: anyone.create_record("com.example.thing", _record("com.example.thing")),
        lambda: anyone.put_record("com.example.thing", "k", _record("com.example.thing")),
        lambda: anyone.delete_record("at://alice.test/com.example.thing/k"),
        lambda: anyone.upload_blob(b"data"),
        lambda: anyone.list_records("com.example.thing"),
    ]
    assert not anyone.is_authenticated
    for act in acts:
        with pytest.raises(ValueError, match="logged in"):
            act()


def test_a_client_of_the_sdk_brings_its_session(
    pds_server: PdsServer, account: Account, collection: str
) -> None:
    sdk = Client(pds_server.url)
    client = AtmosphereClient(
        pds_server.url, plc_url=pds_server.plc_url, allow_private=True, _client=sdk
    )
    with closing(client), closing(sdk.request):
        assert not client.is_authenticated
        client.login(account.handle, account.password)
        uri = client.create_record(collection, _record(collection))
        again = AtmosphereClient(
            pds_server.url, plc_url=pds_server.plc_url, allow_private=True, _client=sdk
        )
        with closing(again):
            assert again.did == account.did
            assert again.get_record(uri) == _record(collection)


def test_servers_that_the_caller_names_are_asked_wherever_they_are(
    pds_server: PdsServer, account: Account, collection: str
) -> None:
    with closing(AtmosphereClient(pds_server.url, plc_url=pds_server.plc_url)) as client:
        client.login(account.handle, account.password)
        uri = client.create_record(collection, _record(collection))
    # Their directory leads to a server that was named, too.
    with closing(AtmosphereClient(pds_server.url, plc_url=pds_server.plc_url)) as reader:
        assert reader.get_record(uri) == _record(collection)
    for url in ("http://127.0.0.1:2583", "https://127.0.0.1", "https://localhost", "https://[::1]"):
        assert AtmosphereClient(url, plc_url=url).base_url == url


def test_private_servers_that_the_directory_names_are_not_asked(
    pds_server: PdsServer, account: Account, collection: str
) -> None:
    uri = f"at://{account.did}/{collection}/x"
    with closing(AtmosphereClient(plc_url=pds_server.plc_url)) as client:
        with pytest.raises(UntrustedInputError, match="allow_private"):
            client.get_record(uri)
        with pytest.raises(UntrustedInputError, match="allow_private"):
            client.query("com.atproto.server.describeServer", server=pds_server.url)


@pytest.mark.parametrize(
    "change", [{"cid": "bafyreib"}, {"value": {"$type": "com.example.thing", "n": 2}}], ids=str
)
def test_a_record_whose_value_has_another_cid_is_refused(
    proxy: FaultProxy, alice: AtmosphereClient, collection: str, change: dict[str, Any]
) -> None:
    uri = alice.create_record(collection, _record(collection))
    found = alice.read_record(uri)
    said = {"uri": str(uri), "cid": found.cid, "value": found.value, **change}
    reader = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    with closing(reader):
        assert reader.get_record(uri) == found.value
        proxy.commit("getRecord", answer(said))
        with pytest.raises(CorruptDataError, match="CID"):
            reader.get_record(uri)


def test_the_cid_of_a_record_is_that_of_its_links_and_bytes(
    alice: AtmosphereClient, collection: str
) -> None:
    blob = alice.upload_blob(b"x" * 100)
    value = {"blob": blob, "bytes": {"$bytes": "gaFrAQ"}, "deep": [{"n": -1, "none": None}], "b": 1}
    uri = alice.create_record(collection, {"$type": collection, **value})
    assert alice.get_record(uri)["bytes"] == value["bytes"]


def test_threads_share_a_client(alice: AtmosphereClient, collection: str) -> None:
    def write(n: int) -> None:
        alice.create_record(collection, _record(collection, n=n))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    records, _ = alice.list_records(collection)
    assert {record["n"] for record in records} == set(range(8))


def test_f3_a_forked_child_goes_on_with_connections_of_its_own(
    alice: AtmosphereClient, collection: str
) -> None:
    uri = alice.create_record(collection, _record(collection, n=0))

    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def read() -> None:
        answers.put(alice.get_record(uri))

    children = [context.Process(target=read) for _ in range(3)]
    for child in children:
        child.start()
    assert alice.get_record(uri)["n"] == 0
    assert [answers.get(timeout=60) for _ in children] == [_record(collection, n=0)] * 3
    for child in children:
        child.join()
    assert alice.get_record(uri)["n"] == 0


def test_f2_a_client_is_not_pickled(alice: AtmosphereClient) -> None:
    with pytest.raises(TypeError, match="session"):
        pickle.dumps(alice)
