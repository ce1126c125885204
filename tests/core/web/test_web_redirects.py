"""Redirects lead only to servers that may be asked, and so do URLs of strangers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.core.web.conftest import DATA
from tests.services.file_server import Exchange, Fault, FileServer, cut, file_server, status
from tests.services.tls_server import make_certificate

from atdata.dataset.remote import open_remote
from atdata.dataset.web import WebStream, asking
from atdata.errors import StorageError, UntrustedInputError
from atdata.trust import addresses

HOST = "data.example.test"


@pytest.fixture
def other() -> Iterator[FileServer]:
    with file_server(DATA, host="127.0.0.2") as server:
        yield server


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Give a server that is known by a name that only these tests can look up."""
    certificate = make_certificate(tmp_path, HOST)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with file_server(DATA, certificate) as server:
        server.url = server.url.replace("127.0.0.1", HOST)
        yield server


class Names:
    """What names mean; each look-up of a name is noted, and takes the next of its addresses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self._original = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *args: Any, **options: Any) -> Any:
        if host not in self.known:
            return self._original(host, *args, **options)
        self.asked.append(host)
        found = self.known[host]
        return self._original(found.pop(0) if len(found) > 1 else found[0], *args, **options)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one address of this machine pass for one that everybody can reach."""

    def is_public(address: str) -> bool:
        return ip_address(address) == ip_address("127.0.0.1")

    monkeypatch.setattr(addresses, "is_public", is_public)
    monkeypatch.setattr(asking, "is_public", is_public)


def moved(location: str, code: int = 302) -> Fault:
    return status(code, location=location)


def read(url: str, **options: Any) -> bytes:
    with WebStream(url, "a.tar", **options) as stream:
        return stream.read()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: FileServer, other: FileServer, code: int) -> None:
    server.faults.append(moved(f"{other.url}/b.tar?sig=q%2f", code))
    assert read(f"{server.url}/a.tar") == DATA
    assert other.asked[0].line == "GET /b.tar?sig=q%2f HTTP/1.1"
    assert other.asked[0].headers["host"] == other.url.removeprefix("http://")


def test_each_attempt_begins_at_the_url_that_was_given(
    server: FileServer, other: FileServer
) -> None:
    server.faults.extend([moved(f"{other.url}/b?sig=1"), moved(f"{other.url}/b?sig=2")])
    other.faults.append(cut(400_000))
    assert read(f"{server.url}/a.tar") == DATA
    assert [one.target for one in other.asked] == ["/b?sig=1", "/b?sig=2"]
    assert other.spans == [None, "bytes=400000-"]


def test_a_connection_is_kept_through_a_redirect(server: FileServer) -> None:
    server.faults.append(moved("/b.tar"))
    assert read(f"{server.url}/a.tar") == DATA
    assert server.connections == 1


def test_what_a_redirect_says_beside_is_not_waited_for(server: FileServer) -> None:
    server.faults.append(
        lambda one: one.answer(302, b"x", stop=0, location="/b.tar", content_length="999999999")
    )
    assert read(f"{server.url}/a.tar") == DATA


def test_redirects_end(server: FileServer) -> None:
    server.faults.extend(moved("/a.tar") for _ in range(20))
    with pytest.raises(StorageError, match="redirected more than 5 times"):
        read(f"{server.url}/a.tar")
    assert len(server.asked) == 6


def test_a_redirect_without_a_place_is_an_error(server: FileServer) -> None:
    server.faults.append(status(302))
    with pytest.raises(StorageError, match="HTTP status 302"):
        read(f"{server.url}/a.tar")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "pipe:id", "//"])
def test_a_redirect_away_from_the_web_is_refused(server: FileServer, location: str) -> None:
    server.faults.append(moved(location))
    with pytest.raises(UntrustedInputError, match=r"a\.tar is redirected to what is not"):
        read(f"{server.url}/a.tar")


def test_from_https_nothing_leads_to_http(
    secure: FileServer, other: FileServer, names: Names
) -> None:
    names.known[HOST] = ["127.0.0.1"]
    secure.faults.append(moved(f"{other.url}/b.tar"))
    with pytest.raises(UntrustedInputError, match=r"from https to http on 127\.0\.0\.2"):
        read(f"{secure.url}/a.tar")
    assert other.connections == 0


def test_a_login_is_for_the_server_that_it_was_given_for(
    server: FileServer, other: FileServer
) -> None:
    server.faults.extend([moved("/b.tar"), moved(f"{other.url}/c.tar")])
    assert read(f"{server.url}/a.tar".replace("://", "://user:pass@")) == DATA
    assert ["authorization" in one.headers for one in server.asked] == [True, True]
    assert "authorization" not in other.asked[0].headers


@pytest.mark.usefixtures("loopback_is_public")
def test_a_public_server_does_not_lead_inside(server: FileServer, other: FileServer) -> None:
    server.faults.append(moved(f"{other.url}/b.tar"))
    with pytest.raises(UntrustedInputError, match=r"to 127\.0\.0\.2, which is not at a public"):
        read(f"{server.url}/a.tar")
    assert other.connections == 0


def test_a_server_inside_may_lead_inside(server: FileServer, other: FileServer) -> None:
    server.faults.append(moved(f"{other.url}/b.tar"))
    assert read(f"{server.url}/a.tar") == DATA


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.tar",
        "https://127.0.0.1:{port}/a.tar",
        "https://[::ffff:127.0.0.1]:{port}/a.tar",
        "https://localhost:{port}/a.tar",
        "https://2130706433:{port}/a.tar",
        "https://0x7f.1:{port}/a.tar",
        "https://127.1:{port}/a.tar",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/a.tar",
        "https://user:pass@192.168.0.1/a.tar",
    ],
)
def test_what_a_stranger_names_is_public_or_not_asked(server: FileServer, url: str) -> None:
    port = server.url.rpartition(":")[2]
    with pytest.raises(UntrustedInputError) as caught:
        read(url.format(port=port), public_only=True)
    assert "pass@" not in str(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize("url", ["memory://a.tar", "file:///etc/passwd", "s3://bucket/a.tar"])
def test_what_is_not_on_the_web_is_not_opened_as_public(url: str) -> None:
    with pytest.raises(UntrustedInputError, match="shown is not opened"):
        open_remote(url, "shown", public_only=True)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/", "https://127.0.0.2:{port}/"])
@pytest.mark.usefixtures("loopback_is_public")
def test_where_a_stranger_leads_is_public_or_not_asked(
    secure: FileServer, other: FileServer, names: Names, target: str
) -> None:
    names.known[HOST] = ["127.0.0.1"]
    secure.faults.append(moved(target.format(port=other.url.rpartition(":")[2])))
    with pytest.raises(UntrustedInputError):
        read(f"{secure.url}/a.tar", public_only=True)
    assert other.connections == 0


@pytest.mark.usefixtures("loopback_is_public")
def test_a_name_is_looked_up_once_and_what_was_checked_is_asked(
    secure: FileServer, names: Names
) -> None:
    names.known[HOST] = ["127.0.0.1", "127.0.0.2"]
    assert read(f"{secure.url}/a.tar", public_only=True) == DATA
    assert names.asked == [HOST]
    assert secure.asked[0].headers["host"] == secure.url.removeprefix("https://")


@pytest.mark.usefixtures("loopback_is_public")
def test_a_certificate_is_for_the_name_and_not_for_the_address(
    secure: FileServer, names: Names
) -> None:
    names.known |= {HOST: ["127.0.0.1"], "other.example.test": ["127.0.0.1"]}
    url = secure.url.replace(HOST, "other.example.test")
    for public_only in (True, False):
        with pytest.raises(StorageError, match=r"TLS fails .*ostname mismatch"):
            read(f"{url}/a.tar", public_only=public_only)
    assert secure.asked == []
    assert read(f"{secure.url}/a.tar", public_only=True) == DATA


def test_a_certificate_that_nobody_trusts_is_final(
    secure: FileServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.known[HOST] = ["127.0.0.1"]
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(StorageError, match=r"TLS fails .*self.signed certificate"):
        read(f"{secure.url}/a.tar")
    assert secure.connections == 1


def test_resets_over_tls_are_gone_on_with(secure: FileServer, names: Names) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=400_000)
        exchange.close()

    names.known[HOST] = ["127.0.0.1"]
    secure.faults.append(fault)
    assert read(f"{secure.url}/a.tar") == DATA
    assert secure.spans == [None, "bytes=400000-"]
