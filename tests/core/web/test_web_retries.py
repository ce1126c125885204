"""Servers that are busy or fail are asked again, as they say; what is final is an error at once."""

from __future__ import annotations

import email.utils
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable

import pytest
from tests.services.file_server import Exchange, FileServer, status

from atdata.dataset.web import WebStream
from atdata.errors import (
    AtdataError,
    AuthenticationError,
    CorruptDataError,
    ShardNotFoundError,
    StorageError,
)


def read(server: FileServer) -> bytes:
    with WebStream(f"{server.url}/a.tar", "a.tar") as opened:
        return opened.read()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the waits between requests, which do not take place."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 520])
def test_a_server_that_is_busy_or_fails_is_asked_again(server: FileServer, code: int) -> None:
    server.faults.extend([status(code), status(code)])
    assert read(server) == server.data
    assert len(server.asked) == 3


@pytest.mark.parametrize("code", [400, 405, 406, 414, 451, 501, 505])
def test_a_refusal_that_is_final_is_an_error_at_once(server: FileServer, code: int) -> None:
    server.faults.append(status(code))
    with pytest.raises(StorageError, match=f"a.tar cannot be read: HTTP status {code}") as caught:
        read(server)
    assert caught.value.details["status"] == code
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [404, 410])
def test_what_is_not_there_is_not_found(server: FileServer, code: int) -> None:
    server.faults.append(status(code))
    with pytest.raises(ShardNotFoundError, match=r"there is no shard at a\.tar"):
        read(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [401, 403, 407])
def test_who_may_not_read_is_said_so(server: FileServer, code: int) -> None:
    server.faults.append(status(code))
    with pytest.raises(AuthenticationError, match=f"HTTP status {code}; give a URL that is signed"):
        read(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [201, 204, 300, 304, 399, 999])
def test_a_status_that_says_nothing_is_an_error(server: FileServer, code: int) -> None:
    server.faults.extend([status(code)] * 5)
    with pytest.raises(StorageError, match=f"HTTP status {code}"):
        read(server)


def test_after_five_attempts_it_is_an_error(server: FileServer, waits: list[float]) -> None:
    server.faults.extend([status(503)] * 10)
    with pytest.raises(StorageError, match="HTTP status 503; try again") as caught:
        read(server)
    assert caught.value.details["status"] == 503
    assert len(server.asked) == 5
    assert len(waits) == 4
    assert waits[0] < waits[3]


def test_a_server_that_recovers_between_is_given_new_attempts(server: FileServer) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.serve(stop=200_000)
        exchange.reset()

    server.faults.extend([*[status(503)] * 4, cut, *[status(503)] * 3, cut, *[status(429)] * 3])
    assert read(server) == server.data


def test_a_busy_server_is_waited_for_as_it_says(server: FileServer, waits: list[float]) -> None:
    server.faults.extend([status(429, retry_after="7"), status(503, retry_after="40")])
    assert read(server) == server.data
    assert 7 <= waits[0] <= 8
    assert 40 <= waits[1] <= 45


def test_a_wait_until_a_date_is_by_the_clock_of_the_server(
    server: FileServer, waits: list[float]
) -> None:
    until = email.utils.formatdate(1_000_000_060, usegmt=True)
    date = email.utils.formatdate(1_000_000_000, usegmt=True)
    server.faults.append(status(503, retry_after=until, date=date))
    assert read(server) == server.data
    assert 60 <= waits[0] <= 67


@pytest.mark.parametrize("said", ["soon", "", "-5", "nan", "Mon, 99 Foo 2026", "1e999"])
def test_a_wait_that_means_nothing_is_our_own(
    server: FileServer, waits: list[float], said: str
) -> None:
    server.faults.append(status(503, retry_after=said))
    assert read(server) == server.data
    assert waits[0] < 1


def test_nobody_is_kept_waiting_for_an_hour(server: FileServer, waits: list[float]) -> None:
    server.faults.append(status(429, retry_after="3600"))
    with pytest.raises(StorageError, match="asks to wait 3,600 s; try again after that") as caught:
        read(server)
    assert caught.value.details["retry_after"] == 3600
    assert waits == []


def _say(data: bytes) -> Callable[[Exchange], None]:
    def fault(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return fault


@pytest.mark.parametrize(
    "fault",
    [
        Exchange.reset,
        Exchange.close,
        _say(b"HTTP/1.1 2"),
        _say(b"HTTP/1.1 200 OK\r\nContent-Le"),
        _say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        _say(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n"),
        _say(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"),
        _say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
        _say(b"\x00" * 1000),
    ],
    ids=["reset", "close", "status", "header", "ssh", "many", "long", "lengths", "zeros"],
)
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    server: FileServer, fault: Callable[[Exchange], None]
) -> None:
    server.faults.append(fault)
    assert read(server) == server.data
    server.faults.extend([fault] * 5)
    with pytest.raises(StorageError, match=r"a\.tar cannot be read: "):
        read(server)


def test_a_server_that_does_not_listen_is_asked_again(waits: list[float]) -> None:
    with pytest.raises(StorageError, match=r"a\.tar cannot be read: Connection refused; check"):
        WebStream("http://127.0.0.1:9/a.tar", "a.tar")
    assert len(waits) == 4


def test_only_plain_bytes_are_asked_for(server: FileServer) -> None:
    read(server)
    assert server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "zstd"])
def test_a_body_that_was_encoded_on_the_way_is_refused(server: FileServer, coding: str) -> None:
    server.faults.append(lambda one: one.answer(200, b"x", content_encoding=coding))
    with pytest.raises(CorruptDataError, match=f"a.tar is sent encoded as '{coding}'"):
        read(server)
    assert len(server.asked) == 1


def test_a_transfer_that_is_encoded_is_refused(server: FileServer) -> None:
    server.faults.append(
        lambda one: one.answer(200, b"x", transfer_encoding="gzip, chunked", content_length=None)
    )
    with pytest.raises(CorruptDataError, match="encoded as 'gzip, chunked'"):
        read(server)


def test_what_is_not_encoded_may_say_so(server: FileServer) -> None:
    server.faults.append(lambda one: one.serve(content_encoding="Identity"))
    assert read(server) == server.data


@pytest.mark.parametrize("ending", ["HTTP/1.0", "HTTP/1.1"])
def test_a_body_without_a_length_ends_with_the_connection(server: FileServer, ending: str) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.send(f"{ending} 200 OK\r\n\r\n".encode() + exchange.server.data)
        exchange.close()

    server.faults.append(fault)
    assert read(server) == server.data


_ODD = _say(b"HTTP/1.1 400 Bad\r\n: odd\r\nx\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "fault",
    [status(404), status(403), status(400), status(503), Exchange.reset, _say(b"x"), _ODD],
    ids=["missing", "denied", "bad", "busy", "reset", "garbage", "odd"],
)
def test_what_is_secret_in_a_url_is_in_no_error_and_no_log(
    server: FileServer, fault: Callable[[Exchange], None], caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url.replace("://", "://user:s3cret-1@") + "/a.tar?sig=s3cret-2#s3cret-3"
    server.faults.extend([fault] * 5)
    with caplog.at_level(logging.DEBUG), pytest.raises(AtdataError) as caught:
        WebStream(url, "a.tar")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.details)
    assert "s3cret" not in shown + caplog.text
    chained: BaseException | None = caught.value
    while chained is not None:
        assert "s3cret" not in f"{chained!r} {vars(chained)!r}"
        chained = chained.__cause__ or chained.__context__


def test_without_its_library_the_remedy_is_named() -> None:
    code = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from atdata.dataset.url import open_url\n"
        "try: open_url('https://example.org/a.tar')\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PluginNotFoundError" in done.stdout
    assert "install atdata-core[http]" in done.stdout


def test_the_library_is_loaded_when_the_first_url_is_opened() -> None:
    code = (
        "import sys, atdata\n"
        "ds = atdata.Dataset('https://example.org/a-{000..009}.tar'); ds.list_shards()\n"
        "print('urllib3' in sys.modules, 'atdata.dataset.web' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
