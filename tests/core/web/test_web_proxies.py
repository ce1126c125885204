"""Proxies that the environment names are gone through, unless it excepts a server."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.core.web.conftest import DATA
from tests.services.file_server import Exchange, FileServer, cut, file_server, status
from tests.services.tls_server import make_certificate

from atdata.dataset.web import WebStream
from atdata.errors import AtdataError, AuthenticationError, StorageError, UntrustedInputError

NOWHERE = "shards.example.test"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Give a proxy for all; what it is asked for it answers itself."""
    with file_server(DATA) as server:
        for name in ("HTTP_PROXY", "https_proxy"):
            monkeypatch.setenv(name, server.url)
        yield server


def read(url: str, *, public_only: bool = False) -> bytes:
    with WebStream(url, "a.tar", public_only=public_only) as stream:
        return stream.read()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def tunnel_to(server: FileServer) -> Callable[[Exchange], None]:
    """Connect whoever asks for it to a server, whatever it is called."""
    host, _, port = server.url.rpartition("//")[2].rpartition(":")

    def fault(exchange: Exchange) -> None:
        with socket.create_connection((host, int(port))) as far:
            exchange.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pump, args=(far, exchange.sock))
            back.start()
            _pump(exchange.sock, far)
            back.join()

    return fault


def test_a_proxy_is_asked_for_the_whole_url(proxy: FileServer) -> None:
    assert read(f"http://{NOWHERE}/it%27s.tar?sig=q%2f#x") == DATA
    assert proxy.asked[0].line == f"GET http://{NOWHERE}/it%27s.tar?sig=q%2f HTTP/1.1"
    assert proxy.asked[0].headers["host"] == NOWHERE


def test_a_login_of_the_url_is_not_in_what_the_proxy_is_asked_for(proxy: FileServer) -> None:
    assert read(f"http://user:pass@{NOWHERE}:81/a.tar") == DATA
    assert proxy.asked[0].target == f"http://{NOWHERE}:81/a.tar"
    assert "authorization" in proxy.asked[0].headers


def test_resets_are_gone_on_with_through_a_proxy(proxy: FileServer) -> None:
    proxy.faults.append(cut(400_000))
    assert read(f"http://{NOWHERE}/a.tar") == DATA


def test_the_login_of_a_proxy_is_for_the_proxy(
    proxy: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", "://al%3Aice:p%40ss@"))
    read(f"http://{NOWHERE}/a.tar")
    sent = proxy.asked[0].headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"al:ice:p@ss"
    assert "authorization" not in proxy.asked[0].headers


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    certificate = make_certificate(tmp_path, NOWHERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with file_server(DATA, certificate) as server:
        yield server


@pytest.mark.parametrize("public_only", [True, False])
def test_https_goes_through_a_tunnel(
    proxy: FileServer, secure: FileServer, public_only: bool
) -> None:
    proxy.faults.append(tunnel_to(secure))
    assert read(f"https://user:pass@{NOWHERE}/a.tar?sig=s", public_only=public_only) == DATA
    assert proxy.asked[0].line.startswith(f"CONNECT {NOWHERE}:443 HTTP/1.")
    assert "authorization" not in proxy.asked[0].headers
    assert secure.asked[0].target == "/a.tar?sig=s"


def test_a_tunnel_is_kept_for_the_next_request(proxy: FileServer, secure: FileServer) -> None:
    proxy.faults.append(tunnel_to(secure))
    for _ in range(3):
        assert read(f"https://{NOWHERE}/a.tar") == DATA
    assert proxy.connections == 1


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/a", "https://10.0.0.1/a", "https://a.internal/"]
)
def test_a_proxy_does_not_make_a_private_server_public(proxy: FileServer, url: str) -> None:
    with pytest.raises(UntrustedInputError, match="not a public address"):
        read(url, public_only=True)
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "excepted", ["127.0.0.1", "127.0.0.0/8", "example.org, 127.0.0.1", "*", "127.0.0.1:{port}"]
)
def test_servers_that_are_excepted_are_asked_directly(
    proxy: FileServer, server: FileServer, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    monkeypatch.setenv("NO_PROXY", excepted.format(port=server.url.rpartition(":")[2]))
    assert read(f"{server.url}/a.tar") == DATA
    assert server.asked[0].target == "/a.tar"
    assert proxy.connections == 0


@pytest.mark.parametrize("excepted", ["", "127.0.0.2", "10.0.0.0/8", "local", "27.0.0.1"])
def test_others_are_not(
    proxy: FileServer, server: FileServer, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    monkeypatch.setenv("NO_PROXY", excepted)
    read(f"{server.url}/a.tar")
    assert (proxy.connections, server.connections) == (1, 0)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "http://user:s3cret@a:port", "http://"])
def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(StorageError, match="correct HTTP_PROXY") as caught:
        read(f"http://{NOWHERE}/a.tar")
    assert "s3cret" not in str(caught.value)


def test_a_proxy_needs_no_scheme(proxy: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
    assert read(f"http://{NOWHERE}/a.tar") == DATA


@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "http://user:s3cret@127.0.0.1:9"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_said_to_be_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(StorageError, match=r"the proxy fails \(Connection refused\)") as caught:
        read(f"{scheme}://{NOWHERE}/a.tar")
    assert "s3cret" not in str(caught.value)


def test_a_proxy_that_wants_a_login_is_said_so(proxy: FileServer) -> None:
    proxy.faults.append(status(407))
    with pytest.raises(AuthenticationError, match="407"):
        read(f"http://{NOWHERE}/a.tar")
    proxy.faults.extend([status(407)] * 5)
    with pytest.raises(AtdataError, match="407"):
        read(f"https://{NOWHERE}/a.tar")
