"""What servers do that are busy, broken, slow or hostile, before a real PDS that is none of it."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.fault_proxy import (
    Exchange,
    Fault,
    FaultProxy,
    answer,
    change,
    cut,
    drip,
    flood,
    lost_reply,
    other_bytes,
    redirect,
    reset,
    stall,
    status,
)
from tests.services.pds_server import Account, PdsServer, running_pds

from atdata.errors import (
    AtdataError,
    AuthenticationError,
    ConflictError,
    CorruptDataError,
    LimitExceededError,
    NotFoundError,
    StorageError,
    UntrustedInputError,
)
from atdata.retries import jittered, own_wait, wait_asked_for
from atdata_atmosphere.client import AtmosphereClient
from atdata_atmosphere.syntax import new_tid

THING = "com.example.fault"


@pytest.fixture
def client(
    proxy: FaultProxy, pds_server: PdsServer, session_text: str
) -> Iterator[AtmosphereClient]:
    """Give a client that is logged in, and knows the PDS by the proxy's address alone."""
    with _logged_in(proxy, pds_server, session_text, timeout=1, max_wait=4) as client:
        yield client


@pytest.fixture
def impatient(
    proxy: FaultProxy, pds_server: PdsServer, session_text: str
) -> Iterator[AtmosphereClient]:
    """Give such a client that waits for nobody."""
    with _logged_in(proxy, pds_server, session_text, timeout=1, max_wait=0) as client:
        yield client


@pytest.fixture
def hasty(
    proxy: FaultProxy, pds_server: PdsServer, session_text: str
) -> Iterator[AtmosphereClient]:
    """Give such a client that soon asks again."""
    with _logged_in(proxy, pds_server, session_text, timeout=0.3, max_wait=4) as client:
        yield client


@contextmanager
def _logged_in(
    proxy: FaultProxy, pds: PdsServer, session_text: str, *, timeout: float, max_wait: float
) -> Iterator[AtmosphereClient]:
    client = AtmosphereClient(
        proxy.url, plc_url=proxy.url, allow_private=True, timeout=timeout, max_wait=max_wait
    )
    with closing(client):
        client.login_with_session(session_text.replace(pds.url, proxy.url))
        yield client


@pytest.fixture
def collection() -> str:
    """Give a collection that no other test writes to."""
    return f"com.example.c{new_tid()}"


def _record(collection: str, n: int = 0) -> dict[str, Any]:
    return {"$type": collection, "n": n}


def _stored(client: AtmosphereClient, data: bytes) -> str:
    """Upload a blob, refer to it, and return its CID."""
    ref = client.upload_blob(data)
    client.create_record(THING, {"$type": THING, "blob": ref})
    return str(ref["ref"]["$link"])


BROKEN: dict[str, Fault] = {
    "500": status(500, "InternalServerError", retry_after="0"),
    "429": status(429, "RateLimitExceeded", retry_after="0"),
    "reset": reset,
    "lost reply": lost_reply,
    "cut": cut(5),
    "stall": stall,
}


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a3_a_gateway_that_fails_is_asked_again(
    client: AtmosphereClient, proxy: FaultProxy, code: int
) -> None:
    proxy.commit("describeServer", status(code, retry_after="0"), times=4)
    assert client.query("com.atproto.server.describeServer")["did"]


@pytest.mark.parametrize("name", BROKEN)
def test_a3_a_server_that_fails_once_is_asked_again(
    client: AtmosphereClient, hasty: AtmosphereClient, proxy: FaultProxy, collection: str, name: str
) -> None:
    client = hasty if name == "stall" else client
    proxy.commit("putRecord", BROKEN[name])
    uri = client.create_record(collection, _record(collection))
    proxy.commit("getRecord", BROKEN[name])
    assert client.get_record(uri) == _record(collection)
    proxy.commit("listRecords", BROKEN[name])
    assert client.list_records(collection) == ([_record(collection)], None)
    proxy.commit("deleteRecord", BROKEN[name])
    client.delete_record(uri)
    assert client.list_records(collection) == ([], None)


@pytest.mark.parametrize("lost", [1, 3])
def test_a3_a_create_whose_reply_is_lost_makes_one_record(
    client: AtmosphereClient, proxy: FaultProxy, collection: str, lost: int
) -> None:
    proxy.commit("putRecord", lost_reply, times=lost)
    uri = client.create_record(collection, _record(collection))
    assert client.list_records(collection) == ([_record(collection)], None)
    assert client.get_record(uri) == _record(collection)
    assert proxy.count("putRecord") == lost + 1


def test_a3_a_create_whose_every_reply_is_lost_is_found_to_have_worked(
    impatient: AtmosphereClient, proxy: FaultProxy, collection: str
) -> None:
    proxy.commit("putRecord", lost_reply, times=99)
    uri = impatient.create_record(collection, _record(collection))
    assert impatient.list_records(collection) == ([_record(collection)], None)
    assert impatient.get_record(uri) == _record(collection)


def test_a3_a_create_that_a_repeat_finds_taken_by_itself_has_worked(
    client: AtmosphereClient, proxy: FaultProxy, collection: str
) -> None:
    proxy.commit("putRecord", lost_reply)
    proxy.commit("putRecord", status(400, "InvalidSwap", "Record was at bafy"))
    uri = client.create_record(collection, _record(collection), rkey="k")
    assert client.get_record(uri) == _record(collection)


def test_a3_a_create_that_never_arrives_is_an_error_and_no_record(
    impatient: AtmosphereClient, proxy: FaultProxy, collection: str
) -> None:
    proxy.commit("putRecord", reset, times=99)
    with pytest.raises(StorageError, match="cannot be asked"):
        impatient.create_record(collection, _record(collection))
    assert impatient.list_records(collection) == ([], None)


def test_a3_a_swap_whose_reply_is_lost_has_worked(
    client: AtmosphereClient, proxy: FaultProxy, collection: str
) -> None:
    uri = client.put_record(collection, "k", _record(collection, 1))
    seen = client.read_record(uri).cid
    proxy.commit("putRecord", lost_reply)
    client.put_record(collection, "k", _record(collection, 2), swap_record=seen)
    assert client.get_record(uri) == _record(collection, 2)
    with pytest.raises(ConflictError):
        client.put_record(collection, "k", _record(collection, 3), swap_record=seen)


@pytest.mark.parametrize("name", ["500", "reset", "lost reply"])
def test_a3_an_upload_that_fails_once_is_sent_again_whole(
    client: AtmosphereClient, proxy: FaultProxy, name: str
) -> None:
    data = os.urandom(200_000)
    proxy.commit("uploadBlob", BROKEN[name])
    cid = _stored(client, data)
    assert client.get_blob(client.did, cid) == data


@pytest.mark.parametrize("name", ["500", "cut", "stall"])
def test_r1_a_download_that_fails_once_begins_anew(
    client: AtmosphereClient, proxy: FaultProxy, name: str
) -> None:
    data = os.urandom(300_000)
    cid = _stored(client, data)
    proxy.commit("getBlob", cut(150_000) if name == "cut" else BROKEN[name])
    file = io.BytesIO()
    assert client.download_blob(client.did, cid, file, max_bytes=len(data)) == len(data)
    assert file.getvalue() == data
    assert proxy.count("getBlob") == 2


def test_a1_other_bytes_than_the_blobs_are_refused(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    cid = _stored(client, b"data")
    proxy.commit("getBlob", other_bytes)
    with pytest.raises(CorruptDataError, match="not used") as caught:
        client.get_blob(client.did, cid)
    assert caught.value.details["expected"] == cid


def test_a1_a_server_that_stores_other_bytes_is_found_out(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    wrong = client.upload_blob(b"other")["ref"]
    proxy.commit("uploadBlob", change(lambda reply: {"blob": {**reply["blob"], "ref": wrong}}))
    with pytest.raises(CorruptDataError, match="sent was"):
        client.upload_blob(b"data!")


@pytest.mark.parametrize("value", [{}, {"blob": 1}, {"blob": {"ref": {"$link": "x"}}}, b"x", []])
def test_an_upload_must_be_answered_with_a_reference(
    client: AtmosphereClient, proxy: FaultProxy, value: object
) -> None:
    proxy.commit("uploadBlob", answer(value))
    with pytest.raises(CorruptDataError):
        client.upload_blob(b"data")


def test_a10_an_answer_about_another_record_is_refused(
    client: AtmosphereClient, proxy: FaultProxy, collection: str
) -> None:
    uri = client.create_record(collection, _record(collection))
    other = str(uri).replace(uri.rkey, "other")
    proxy.commit("getRecord", change(lambda reply: {**reply, "uri": other}))
    with pytest.raises(CorruptDataError, match="other"):
        client.get_record(uri)
    proxy.commit("putRecord", change(lambda reply: {**reply, "uri": other}))
    with pytest.raises(CorruptDataError, match="other"):
        client.put_record(collection, "k", _record(collection))
    listed = {"records": [{"uri": f"at://did:plc:x/{collection}/k", "cid": "c", "value": {}}]}
    proxy.commit("listRecords", answer(listed))
    with pytest.raises(CorruptDataError, match="did:plc:x"):
        client.list_records(collection)


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"records": 1}, {"records": [1]}, {"records": [{"uri": "at://a.b/c.d.e/f"}]}),
        *({"records": [], "cursor": 7}, [], b"nonsense", b"\xff\xfe", b'{"records": [NaN]}'),
    ],
    ids=str,
)
def test_a13_a_list_in_no_form_is_corrupt(
    client: AtmosphereClient, proxy: FaultProxy, value: object
) -> None:
    proxy.commit("listRecords", answer(value))
    with pytest.raises(CorruptDataError):
        client.list_records(THING)


def test_n7_pages_that_lead_nowhere_are_an_error(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    proxy.commit("listRecords", answer({"records": [], "cursor": "same"}), times=99)
    with pytest.raises(CorruptDataError, match="circles"):
        client.list_records(THING, limit=1000)
    assert proxy.count("listRecords") == 1


def test_n7_more_records_than_asked_for_are_cut_off(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    entry = {"uri": f"at://{client.did}/{THING}/k", "cid": "c", "value": {"n": 1}}
    proxy.commit("listRecords", answer({"records": [entry] * 500}))
    assert len(client.list_records(THING, limit=3)[0]) == 3


@pytest.mark.parametrize("fault", [flood, drip(0.05), stall], ids=["flood", "drip", "stall"])
def test_n5_an_answer_without_end_is_an_error_in_time(
    impatient: AtmosphereClient, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.commit("getRecord", fault, times=9)
    before = time.monotonic()
    with pytest.raises((StorageError, LimitExceededError)):
        impatient.get_record(f"at://{impatient.did}/{THING}/k")
    assert time.monotonic() - before < 30


def test_n5_a_head_without_end_is_an_error(impatient: AtmosphereClient, proxy: FaultProxy) -> None:
    def endless_head(exchange: Exchange) -> None:
        exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not exchange.proxy.stopping.is_set():
            exchange.handler.wfile.write(b"x-more: " + b"x" * 1000 + b"\r\n")

    proxy.commit("getRecord", endless_head, times=9)
    with pytest.raises(StorageError):
        impatient.get_record(f"at://{impatient.did}/{THING}/k")


def test_d12_a_compressed_answer_is_not_unpacked(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    def compressed(exchange: Exchange) -> None:
        exchange.reply(200, {"content-encoding": "gzip"}, b"\x1f\x8b")

    proxy.commit("getRecord", compressed)
    with pytest.raises(CorruptDataError, match="compressed"):
        client.get_record(f"at://{client.did}/{THING}/k")
    assert proxy.asked[-1].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_n4_what_is_sent_is_never_sent_elsewhere(
    client: AtmosphereClient, proxy: FaultProxy, pds_server: PdsServer, code: int
) -> None:
    proxy.commit("putRecord", redirect(f"{pds_server.url}/xrpc/com.atproto.repo.putRecord", code))
    with pytest.raises(UntrustedInputError, match="elsewhere"):
        client.create_record(THING, _record(THING))
    assert proxy.count("putRecord") == 1


def test_n4_a_password_is_never_sent_elsewhere(
    proxy: FaultProxy, pds_server: PdsServer, account: Account
) -> None:
    proxy.commit("createSession", redirect(f"{pds_server.url}/xrpc/x", 307))
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    with closing(client), pytest.raises(UntrustedInputError, match="elsewhere"):
        client.login(account.handle, account.password)


def test_c7_a_redirect_to_another_host_carries_no_token(
    client: AtmosphereClient, proxy: FaultProxy, pds_server: PdsServer
) -> None:
    elsewhere = proxy.url.replace("127.0.0.1", "localhost")
    proxy.commit("getSession", redirect(f"{elsewhere}/xrpc/com.atproto.server.getSession"))
    with pytest.raises(AuthenticationError):
        client.login_with_session(client.export_session())
    first, second = [one for one in proxy.asked if "getSession" in one.path][-2:]
    assert "authorization" in first.headers
    assert "authorization" not in second.headers


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(400, "InvalidRequest", "no"), StorageError),
        (status(401, "AuthMissing"), AuthenticationError),
        (status(403, "Forbidden"), AuthenticationError),
        (status(404), NotFoundError),
        (status(409), ConflictError),
        (status(413, "PayloadTooLarge"), LimitExceededError),
        (status(501, "MethodNotImplemented"), StorageError),
        (status(400, "x" * 10_000, "y\x1b[31m" * 10_000), StorageError),
    ],
    ids=["400", "401", "403", "404", "409", "413", "501", "long"],
)
def test_r5_what_will_not_pass_is_not_asked_again(
    client: AtmosphereClient, proxy: FaultProxy, fault: Fault, error: type[AtdataError]
) -> None:
    proxy.commit("getRecord", fault)
    with pytest.raises(error) as caught:
        client.get_record(f"at://{client.did}/{THING}/k")
    assert proxy.count("getRecord") == 1
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_a2_a_busy_server_is_waited_for_as_long_as_it_says(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    client.put_record(THING, "waited", _record(THING))
    proxy.commit("getRecord", status(429, "RateLimitExceeded", retry_after="1"))
    before = time.monotonic()
    assert client.get_record(f"at://{client.did}/{THING}/waited") == _record(THING)
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "3600"},
        {"retry_after": "1e9"},
        {"ratelimit_reset": str(int(time.time()) + 10 * 365 * 86400)},
        {"retry_after": formatdate(time.time() + 3600, usegmt=True)},
    ],
    ids=["an hour", "decades", "ten years", "a date"],
)
def test_a2_a_server_that_is_busy_too_long_is_not_waited_for(
    client: AtmosphereClient, proxy: FaultProxy, headers: dict[str, str]
) -> None:
    proxy.commit("getRecord", status(429, "RateLimitExceeded", **headers), times=99)
    before = time.monotonic()
    with pytest.raises(StorageError, match="try again in") as caught:
        client.get_record(f"at://{client.did}/{THING}/k")
    assert time.monotonic() - before < 30
    assert caught.value.details["retry_after"] > 3000
    assert proxy.count("getRecord") == 1


@pytest.mark.parametrize("skew", [-3600, 0, 3600])
def test_a2_a_wait_is_by_the_servers_clock(skew: int) -> None:
    servers_now = time.time() + skew
    date = {"date": formatdate(servers_now, usegmt=True)}
    assert wait_asked_for({"ratelimit-reset": str(int(servers_now) + 10), **date}) == pytest.approx(
        10, abs=2
    )
    retry = formatdate(servers_now + 10, usegmt=True)
    assert wait_asked_for({"retry-after": retry, **date}) == pytest.approx(10, abs=2)


def test_a2_retry_after_counts_before_the_reset() -> None:
    assert wait_asked_for({"retry-after": "7", "ratelimit-reset": str(time.time() + 99)}) == 7
    assert wait_asked_for({"ratelimit-reset": "30"}) == 30


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-inf", "\u0661", "9" * 20])
def test_a2_headers_that_say_nothing_are_passed_over(value: str) -> None:
    said = wait_asked_for({"retry-after": value, "ratelimit-reset": value, "date": value})
    assert said is None or 0 <= said < 1e25


@given(st.dictionaries(st.sampled_from(["retry-after", "ratelimit-reset", "date"]), st.text()))
def test_a2_no_header_breaks_the_reading_of_waits(headers: dict[str, str]) -> None:
    said = wait_asked_for(headers)
    assert said is None or said >= 0


def test_waits_of_our_own_grow_to_a_bound() -> None:
    assert all(0 < own_wait(attempt) <= 30 for attempt in range(100))
    assert all(5 <= jittered(5) <= 5.6 for _ in range(100))
    assert all(3600 <= jittered(3600) <= 3605 for _ in range(100))


@pytest.mark.slow
def test_a2_real_limits_of_a_pds_are_waited_out() -> None:
    with running_pds(rate_limits=True) as server:
        account = server.new_account()
        client = AtmosphereClient(server.url, plc_url=server.plc_url, allow_private=True)
        with closing(client):
            client.login(account.handle, account.password)
            for _ in range(3100):
                client.query("com.atproto.server.describeServer")
