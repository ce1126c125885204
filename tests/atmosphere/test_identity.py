"""Who somebody is: looked up in a real directory and real DNS, and checked in both directions."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import dns.message
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.fault_proxy import FaultProxy, answer, change, flood, redirect, reset, status
from tests.services.name_server import NameServer, name_server
from tests.services.pds_server import Account, PdsServer

from atdata.errors import (
    AtdataError,
    CorruptDataError,
    IdentityNotFoundError,
    InvalidNameError,
    LimitExceededError,
    NotFoundError,
    StorageError,
    UntrustedInputError,
)
from atdata.trust import addresses_of, checked_origin, is_public
from atdata_atmosphere import handles
from atdata_atmosphere.cache import Cache
from atdata_atmosphere.client import AtmosphereClient
from atdata_atmosphere.did_documents import web_origin

PLC = "did:plc:" + "a" * 24


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[AtmosphereClient]:
    """Give a client whose server and directory are the proxy."""
    client = AtmosphereClient(
        proxy.url, plc_url=proxy.url, allow_private=True, timeout=2, max_wait=3
    )
    with closing(client):
        yield client


def _document(did: str, *, handle: str | None, pds: Any) -> dict[str, Any]:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}
    return {"id": did, "alsoKnownAs": [f"at://{handle}"] if handle else [], "service": [service]}


def test_a_handle_and_its_did_lead_to_the_same_identity(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    by_did, by_handle = client.resolve(account.did), client.resolve(f"@{account.handle.upper()}")
    assert by_did == by_handle
    assert (by_did.did, by_did.handle, by_did.pds) == (account.did, account.handle, proxy.url)


def test_an_identity_is_looked_up_once(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    for _ in range(3):
        client.resolve(account.did)
    assert proxy.count("/did:plc:") == 1
    client.resolve(account.did, fresh=True)
    assert proxy.count("/did:plc:") == 2


def test_a_failed_look_up_is_not_kept(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("/did:plc:", status(404))
    with pytest.raises(IdentityNotFoundError, match=account.did):
        client.resolve(account.did)
    assert client.resolve(account.did).handle == account.handle


def test_a_handle_that_its_did_does_not_claim_is_refused(
    client: AtmosphereClient, proxy: FaultProxy, account: Account, pds_server: PdsServer
) -> None:
    impostor = pds_server.new_account()
    proxy.commit("resolveHandle", answer({"did": account.did}))
    with pytest.raises(UntrustedInputError, match=impostor.handle) as caught:
        client.resolve(impostor.handle)
    assert account.did in str(caught.value)
    assert account.handle in str(caught.value)


def test_a_handle_that_does_not_lead_back_is_left_out(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("resolveHandle", answer({"did": PLC}))
    identity = client.resolve(account.did)
    assert (identity.did, identity.handle) == (account.did, None)


@pytest.mark.parametrize(
    "fault",
    [reset, status(500), answer(b"nonsense"), answer({"did": 1})],
    ids=["reset", "status", "nonsense", "number"],
)
def test_a_handle_that_cannot_be_checked_is_left_out(
    client: AtmosphereClient, proxy: FaultProxy, account: Account, fault: Any
) -> None:
    proxy.commit("resolveHandle", fault, times=9)
    assert client.resolve(account.did).handle is None


@pytest.mark.parametrize("did", ["did:key:abc", "../secret", "did:plc:a/b", 4])
def test_a_handle_that_leads_to_no_did_is_refused(
    client: AtmosphereClient, proxy: FaultProxy, did: object
) -> None:
    proxy.commit("resolveHandle", answer({"did": did}))
    with pytest.raises(UntrustedInputError, match="no DID"):
        client.resolve("somebody.test")


def test_a_document_of_another_did_is_refused(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("/did:plc:", change(lambda document: {**document, "id": PLC}))
    with pytest.raises(UntrustedInputError, match="another DID"):
        client.resolve(account.did)


@pytest.mark.parametrize("services", [None, [], "x", [1], [{"id": "#atproto_pds"}], {"id": 1}])
def test_a_did_without_a_server_is_not_found(
    client: AtmosphereClient, proxy: FaultProxy, services: object
) -> None:
    proxy.commit("/did:plc:", answer({"id": PLC, "service": services, "alsoKnownAs": 7}))
    with pytest.raises(IdentityNotFoundError, match="names no server"):
        client.resolve(PLC)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("file:///etc/passwd", "gopher://example.com", "example.com", "https://", "https:///x"),
        *("https://user:secret@example.com", "https://example.com/path", "https://example.com?q"),
        *("https://example.com#f", "https://example.com:99999", "https://exa mple.com", "//x"),
        *("https://b\u00fccher.example", "https://[::1", "javascript:alert(1)", ""),
    ],
)
def test_n1_a_server_that_is_no_plain_origin_is_refused_even_where_private_ones_are_allowed(
    client: AtmosphereClient, proxy: FaultProxy, endpoint: str
) -> None:
    proxy.commit("/did:plc:", answer(_document(PLC, handle=None, pds=endpoint)))
    with pytest.raises(UntrustedInputError) as caught:
        client.resolve(PLC)
    assert "secret" not in str(caught.value)


HOSTS = """
127.0.0.1 127.1 [::1] 169.254.169.254 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 0 0.0.0.0
2130706433 0x7f.1 0177.0.0.1 [::ffff:127.0.0.1] [::ffff:7f00:1] [::] [fe80::1] [fc00::1] [fec0::1]
[64:ff9b::7f00:1] [2002:7f00:1::] [2001:0:7f00:1::80ff:fffe] localhost localhost. LOCALHOST
224.0.0.1 [ff02::1] 255.255.255.255 192.0.2.1 198.18.0.1 a.localhost
"""


@contextmanager
def _no_connections() -> Iterator[None]:
    """Fail if anything connects while the block runs."""
    seen: list[object] = []
    active = [True]

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if active[0] and event == "socket.connect":
            seen.append(arguments[1])

    sys.addaudithook(note)
    yield
    active[0] = False
    assert seen == []


@pytest.mark.parametrize("host", HOSTS.split())
def test_n1_an_address_that_is_not_public_is_never_connected_to(host: str) -> None:
    with (
        closing(AtmosphereClient("https://example.com")) as client,
        _no_connections(),
        pytest.raises(AtdataError) as caught,
    ):
        client.query("com.example.query", server=f"https://{host}")
    assert isinstance(caught.value, UntrustedInputError) or "no URL" in str(caught.value)


def test_n1_a_name_is_judged_by_the_address_behind_it() -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
        with pytest.raises(UntrustedInputError, match=r"127\.0\.0\.1"):
            addresses_of(host, 443, allow_private=False)
        assert "127.0.0.1" in addresses_of(host, 443, allow_private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "1.1.1.1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert checked_origin(f"https://{host}/", allow_private=False) == f"https://{host}"


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_private_addresses_stay_private_inside_those_of_ipv6(address: Any) -> None:
    number = int(address)
    wrapped = [
        f"::ffff:{address}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ]
    assert [text for text in [str(address), *wrapped] if is_public(text)] == []


def test_n4_a_redirect_to_another_place_is_followed_only_where_one_may_go(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("/did:plc:", redirect(f"{proxy.url}/{account.did}?again"))
    assert client.resolve(account.did).handle == account.handle
    for place in ("file:///etc/passwd", "gopher://example.com/", "https://"):
        proxy.commit("/did:plc:", redirect(place), times=9)
        with pytest.raises((UntrustedInputError, StorageError)):
            client.resolve(account.did, fresh=True)
        proxy.heal()


def test_n4_redirects_without_end_are_an_error(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("/did:plc:", redirect(f"{proxy.url}/{account.did}"), times=100)
    with pytest.raises(StorageError, match="redirects"):
        client.resolve(account.did)
    assert proxy.count("/did:plc:") <= 6


def test_n5_an_endless_document_is_an_error(
    client: AtmosphereClient, proxy: FaultProxy, account: Account
) -> None:
    proxy.commit("/did:plc:", flood)
    with pytest.raises(LimitExceededError, match="bytes"):
        client.resolve(account.did)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id": NaN}', b"[" * 100_000, b"\xff"])
def test_a_document_that_is_no_json_object_is_corrupt(
    client: AtmosphereClient, proxy: FaultProxy, body: bytes
) -> None:
    proxy.commit("/did:plc:", answer(body))
    with pytest.raises(CorruptDataError, match="JSON"):
        client.resolve(PLC)


def test_a_did_of_the_web_is_looked_up_at_its_host(
    client: AtmosphereClient, proxy: FaultProxy
) -> None:
    port = proxy.url.rpartition(":")[2]
    did = f"did:web:localhost%3A{port}"
    proxy.commit("did.json", answer(_document(did, handle=None, pds=proxy.url)))
    assert client.resolve(did).pds == proxy.url
    assert proxy.asked[-1].path == "/.well-known/did.json"


def test_n2_a_did_of_the_web_names_a_host_and_no_more() -> None:
    assert web_origin("did:web:example.com", allow_private=False) == "https://example.com"
    assert web_origin("did:web:localhost%3A80", allow_private=True) == "http://localhost:80"
    refused = """
    did:web:example.com:path did:web:example.com%3A8080 did:web:user@example.com did:web:localhost
    did:web:example.com%2Fpath did:web:127.0.0.1 did:web:localhost%3A80 did:web:example
    did:web:a.local did:web:a.internal did:web:%65xample.com did:web:example.com%3A
    """
    for did in refused.split():
        with pytest.raises(UntrustedInputError):
            web_origin(did, allow_private=False)
    for did in ("did:web:localhost%3Ax", "did:web:localhost%3A", "did:web:localhost%3A1%3A2"):
        with pytest.raises(UntrustedInputError):
            web_origin(did, allow_private=True)


@pytest.fixture
def names() -> Iterator[NameServer]:
    """Give a name server that the resolver of this process asks alone."""
    with name_server() as names:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], names.port
        before = dns.resolver.get_default_resolver()
        dns.resolver.default_resolver = resolver
        yield names
        dns.resolver.default_resolver = before


def test_a_handle_is_found_in_dns(
    client: AtmosphereClient, proxy: FaultProxy, names: NameServer
) -> None:
    handle = "alice.example.org"
    names.texts[f"_atproto.{handle}."] = ["v=something else", f"did={PLC}"]
    proxy.commit("/did:plc:", answer(_document(PLC, handle=handle, pds=proxy.url)))
    identity = client.resolve(handle)
    assert (identity.did, identity.handle) == (PLC, handle)


def test_a_handle_with_two_dids_in_dns_is_refused(
    client: AtmosphereClient, names: NameServer
) -> None:
    names.texts["_atproto.alice.example.org."] = [f"did={PLC}", "did=did:plc:other"]
    with pytest.raises(UntrustedInputError, match="several"):
        client.resolve("alice.example.org")


def _addresses(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    """Have the machine's own look-up of hosts, which asks the internet, give one answer."""

    def look_up(*_: object, **__: object) -> list[object]:
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_handle_that_neither_dns_nor_a_server_knows_is_nobodys(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _addresses(monkeypatch, None)
    with (
        closing(AtmosphereClient(max_wait=1)) as client,
        pytest.raises(IdentityNotFoundError, match="nobody goes by"),
    ):
        client.resolve("alice.example.org")
    assert names.texts == {}


def test_without_a_network_it_is_not_said_that_somebody_does_not_exist(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _addresses(monkeypatch, None)
    monkeypatch.setattr(handles, "DNS_SECONDS", 0.2)
    resolver = dns.resolver.get_default_resolver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver.port = silent.getsockname()[1]
        with (
            closing(AtmosphereClient(max_wait=1)) as client,
            pytest.raises(StorageError, match="name server"),
        ):
            client.resolve("alice.example.org")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3"])
def test_n1_a_handle_whose_server_is_not_public_is_refused(
    names: NameServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    _addresses(monkeypatch, address)
    with (
        closing(AtmosphereClient(max_wait=1)) as client,
        _no_connections(),
        pytest.raises(UntrustedInputError, match=address),
    ):
        client.resolve("alice.example.org")
    assert names.texts == {}


@pytest.mark.parametrize("name", ["a.local", "a.arpa", "a.onion", "a.internal", "a.invalid"])
def test_n2_a_handle_that_can_be_nobodys_is_not_looked_up(
    client: AtmosphereClient, name: str
) -> None:
    with _no_connections(), pytest.raises(UntrustedInputError, match="nobody"):
        client.resolve(name)


def test_a_handle_of_development_needs_a_server_that_knows_it() -> None:
    with (
        closing(AtmosphereClient()) as client,
        _no_connections(),
        pytest.raises(NotFoundError, match="base_url"),
    ):
        client.resolve("alice.test")


@pytest.mark.parametrize("name", ["", "alice", "@", "did:", "did:foo:bar", "a b.c", "x" * 300])
def test_what_is_no_name_is_refused(client: AtmosphereClient, name: str) -> None:
    with pytest.raises(InvalidNameError):
        client.resolve(name)


def test_a_cache_is_bounded_and_forgets() -> None:
    cache: Cache[int] = Cache(seconds=60, most=3)
    for number in range(5):
        cache.put(f"k{number}", number)
    assert [cache.get(f"k{number}") for number in range(5)] == [None, None, 2, 3, 4]
    forgetful: Cache[int] = Cache(seconds=0, most=3)
    forgetful.put("k", 1)
    assert forgetful.get("k") is None
