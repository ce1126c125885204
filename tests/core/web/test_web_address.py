"""A URL is asked for as it is written: not a byte more, not a byte other."""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.file_server import FileServer, status

from atdata.dataset.web import WebStream
from atdata.dataset.web.address import Address
from atdata.errors import InvalidNameError, StorageError, UntrustedInputError

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))


@pytest.mark.parametrize(
    "target",
    [
        "/set/a.tar?Expires=9&Signature=q%2F8%3D%3D",
        "/set/it%27s.tar",
        "/set/it's.tar",
        "/lower%2fcase%e2%82%ac?sig=a%2bb%3d",
        "/plus+and==?a+b==",
        "/a//b/../c/./d",
        "/a.tar?",
        "/a?b?c&&d=&=e",
        "/not%encoded%zz%",
        '/odd|[1]{x}^`"<>\\',
        "/semi;colon,comma@at:colon!$*~()",
    ],
)
def test_a_target_is_sent_as_it_is_written(server: FileServer, target: str) -> None:
    WebStream(server.url + target, "a.tar").close()
    assert server.asked[0].line == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("/a b.tar", "/a%20b.tar"),
        ("/é€.tar?x=ü", "/%C3%A9%E2%82%AC.tar?x=%C3%BC"),
        ("/a\tb\r\nHost: other\n.tar", "/a%09b%0D%0AHost:%20other%0A.tar"),
        ("/\x7f\x00.tar", "/%7F%00.tar"),
        ("/a.tar#part", "/a.tar"),
        ("/a.tar?b=c#part?d", "/a.tar?b=c"),
        ("?b", "/?b"),
        ("", "/"),
        ("#part", "/"),
    ],
)
def test_only_what_cannot_be_sent_is_encoded(server: FileServer, written: str, sent: str) -> None:
    WebStream(server.url + written, "a.tar").close()
    assert server.asked[0].line == f"GET {sent} HTTP/1.1"
    assert server.asked[0].headers["host"] == server.url.removeprefix("http://")


@given(PRINTABLE)
def test_what_can_be_sent_is_never_encoded(target: str) -> None:
    assert Address.from_url(f"https://example.org/{target}", "x").target == f"/{target}"


@given(st.text())
def test_what_is_encoded_means_the_same(text: str) -> None:
    target = Address.from_url(f"https://example.org/{text}", "x").target
    kept = text.partition("#")[0]
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert unquote_to_bytes(target) == unquote_to_bytes(f"/{kept}")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://Example.ORG/a", "example.org"),
        ("HTTPS://example.org:443/a", "example.org"),
        ("http://example.org:443/a", "example.org:443"),
        ("https://[2001:DB8::1]/a", "[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443"),
        ("https://bücher.example/a", "xn--bcher-kva.example"),
        ("https://a_b.example./a", "a_b.example."),
        ("https://user:pass@example.org/a@b", "example.org"),
    ],
)
def test_a_server_is_named_in_ascii_with_an_unusual_port(url: str, server: str) -> None:
    assert Address.from_url(url, "x").server == server


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a",
        "http://?a",
        "http://user@/a",
        "http://:80/a",
        "http://a b/",
        "http://a\tb/",
        "http://a\\b/",
        "http://a:port/",
        "http://a:65536/",
        "http://[::1/",
        "http://::1/",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://a\uff052Fb/",
        "ftp://a/",
        "http:a",
    ],
)
def test_what_is_not_a_web_url_is_said_to_be_so(url: str) -> None:
    with pytest.raises(InvalidNameError, match="shown is not a valid web URL"):
        Address.from_url(url, "shown")


@given(st.text())
def test_any_text_is_an_address_or_not_valid(text: str) -> None:
    try:
        found = Address.from_url(f"http://{text}", "shown")
    except InvalidNameError:
        return
    assert found.host
    assert found.host.isascii()
    assert 0 < found.port < 65536
    assert found.target.startswith("/")


def test_a_login_is_sent_and_never_shown(server: FileServer) -> None:
    url = server.url.replace("://", "://al%3Aice:p%40ss-wörd@")
    server.faults.append(status(400))
    with pytest.raises(StorageError) as caught:
        WebStream(f"{url}/a.tar", "a.tar")
    sent = server.asked[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "al:ice:p@ss-wörd"
    assert "p@ss" not in repr(Address.from_url(url, "x"))
    assert sent not in repr(Address.from_url(url, "x"))
    assert "p%40ss" not in repr(caught.value)


def test_without_a_login_none_is_sent(server: FileServer) -> None:
    WebStream(f"{server.url}/a.tar", "a.tar").close()
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/other.tar?x=%2f", "https://example.org/other.tar?x=%2f"),
        ("other.tar", "https://example.org/set/other.tar"),
        ("../other.tar", "https://example.org/other.tar"),
        ("?y", "https://example.org/set/a.tar?y"),
        ("//cdn.example/a%2fb", "https://cdn.example/a%2fb"),
        ("https://cdn.example:8443/a?b#c", "https://cdn.example:8443/a?b"),
        ("", "https://example.org/set/a.tar?x"),
    ],
)
def test_a_redirect_is_read_as_browsers_do(location: str, expected: str) -> None:
    found = Address.from_url("https://example.org/set/a.tar?x", "x").redirected(location, "x")
    assert found.origin + found.target == expected


@pytest.mark.parametrize(
    "location", ["/..//evil.example/a", "/\\evil.example/a", "/@evil.example/a"]
)
def test_a_path_never_becomes_a_server(location: str) -> None:
    found = Address.from_url("https://example.org/set/a.tar", "x").redirected(location, "x")
    assert found.origin == "https://example.org"


@pytest.mark.parametrize(
    "location",
    [
        "http://example.org/set/a.tar",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:,a",
        "javascript:alert(1)",
        "example.org:443/a",
        "https://",
        "//",
        "https://a b/",
    ],
)
def test_a_redirect_stays_on_the_web_and_on_https(location: str) -> None:
    with pytest.raises(UntrustedInputError, match="shown is redirected"):
        Address.from_url("https://example.org/set/a.tar", "shown").redirected(location, "shown")
