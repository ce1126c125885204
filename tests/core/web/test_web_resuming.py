"""A body that ends too early is gone on with where it broke, and never with another version."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.services.file_server import Exchange, FileServer, cut, status

from atdata.dataset.web import WebStream, connections
from atdata.errors import StorageError

LONG_AGO = "Mon, 05 Jan 2026 10:00:00 GMT"


def read(server: FileServer, *, offset: int = 0) -> bytes:
    with WebStream(f"{server.url}/a.tar", "a.tar", offset=offset) as stream:
        return stream.read()


def change(server: FileServer) -> Callable[[Exchange], None]:
    """Break off, and serve another version from then on."""

    def fault(exchange: Exchange) -> None:
        cut(400_000)(exchange)
        server.data = server.data[::-1]
        server.etag, server.modified = '"2"', "Mon, 05 Jan 2026 11:00:00 GMT"

    return fault


def test_a_reset_is_gone_on_with_by_range(server: FileServer) -> None:
    server.faults.append(cut(400_000))
    assert read(server) == server.data
    assert server.spans == [None, "bytes=400000-"]
    assert server.asked[1].headers["if-range"] == '"1"'


def test_one_request_is_enough_where_nothing_breaks(server: FileServer) -> None:
    assert read(server) == server.data
    assert server.spans == [None]


@pytest.mark.parametrize("stop", [0, 1, 399_999, 999_999])
def test_a_body_that_is_shorter_than_said_is_gone_on_with(server: FileServer, stop: int) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=stop)
        exchange.close()

    server.faults.append(fault)
    assert read(server) == server.data
    assert server.sent == len(server.data)


@pytest.mark.parametrize("ends", [Exchange.reset, Exchange.close])
@pytest.mark.parametrize("stop", [1, 5, 400_000, 1_000_007, 1_000_010])
def test_a_chunked_body_that_breaks_off_is_gone_on_with(
    server: FileServer, stop: int, ends: Callable[[Exchange], None]
) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=stop)
        ends(exchange)

    server.chunked = True
    server.faults.append(fault)
    assert read(server) == server.data


def test_a_chunked_body_that_lacks_its_end_alone_is_through(server: FileServer) -> None:
    """All has come, so a server that is asked for more has nothing."""

    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=len(b"f4240\r\n") + 1_000_000 + 2)
        exchange.reset()

    server.chunked = True
    server.faults.append(fault)
    assert read(server) == server.data
    assert server.spans == [None, "bytes=1000000-"]


def test_a_stall_is_gone_on_with(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=400_000)
        exchange.hang()

    monkeypatch.setattr(connections, "STALL_SECONDS", 0.5)
    server.faults.append(fault)
    assert read(server) == server.data
    assert server.spans == [None, "bytes=400000-"]


def test_a_server_that_trickles_is_stalled(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.serve(stop=0)
        while not exchange.server.stopping.wait(0.05):
            exchange.send(b"x")

    monkeypatch.setattr(connections, "STALL_SECONDS", 0.5)
    server.faults.extend([fault] * 5)
    with pytest.raises(StorageError, match=r"a\.tar cannot be read: it breaks off at byte"):
        read(server)


def test_headers_that_never_end_are_a_stall(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nx: ")
        while not exchange.server.stopping.wait(0.05):
            exchange.send(b"x")

    monkeypatch.setattr(connections, "STALL_SECONDS", 0.5)
    server.faults.append(fault)
    assert read(server) == server.data


def test_a_reader_that_takes_its_time_is_not_a_stall(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.3)
    with WebStream(f"{server.url}/a.tar", "a.tar") as stream:
        first = stream.read(10)
        server.stopping.wait(0.6)
        assert first + stream.read() == server.data
    assert server.spans == [None]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("modified", [None, LONG_AGO])
def test_another_version_is_never_joined(
    server: FileServer, ranges: bool, modified: str | None
) -> None:
    server.ranges, server.modified = ranges, modified
    server.etag = None if modified else server.etag
    server.faults.append(change(server))
    with pytest.raises(StorageError, match=r"a\.tar changed while it was read; read it again"):
        read(server)


def test_a_server_that_ignores_if_range_does_not_join_versions(server: FileServer) -> None:
    def other(exchange: Exchange) -> None:
        body = exchange.server.data[400_000:]
        span = f"bytes 400000-999999/{len(exchange.server.data)}"
        exchange.answer(206, body, etag='"2"', content_range=span)

    server.faults.extend([cut(400_000), other])
    with pytest.raises(StorageError, match="changed while it was read"):
        read(server)


def test_a_server_without_ranges_begins_again_and_what_is_known_is_dropped(
    server: FileServer,
) -> None:
    server.ranges = False
    server.faults.extend([cut(400_000), cut(600_000)])
    assert read(server) == server.data


def test_a_date_is_proof_where_there_is_a_length(server: FileServer) -> None:
    server.etag, server.modified = None, LONG_AGO
    server.faults.append(cut(400_000))
    assert read(server) == server.data
    assert server.asked[1].headers["if-range"] == LONG_AGO


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_proof_of_the_version_nothing_is_joined(
    server: FileServer, etag: str | None
) -> None:
    server.etag = etag
    server.faults.append(cut(400_000))
    with pytest.raises(StorageError, match="breaks off at byte 400,000, and its server names no"):
        read(server)
    assert len(server.asked) == 1


def test_a_date_of_just_now_is_no_proof(server: FileServer) -> None:
    server.etag, server.modified = None, "Tue, 06 Jan 2026 09:59:59 GMT"
    server.faults.append(cut(400_000))
    with pytest.raises(StorageError, match="names no version"):
        read(server)


def test_without_a_byte_read_there_is_nothing_to_join(server: FileServer) -> None:
    server.etag = None
    server.faults.extend([cut(0), cut(0)])
    assert read(server) == server.data


@pytest.mark.parametrize(
    "span",
    [
        None,
        "bytes 0-599999/1000000",
        "bytes 400001-999999/1000000",
        "bytes 400000-999998/1000000",
        "bytes 400000-999999/999999",
        "bytes 400000-399999/1000000",
        "bytes */1000000",
        "items 400000-999999/1000000",
        "bytes 400000-999999",
        "bytes ٤00000-999999/1000000",
    ],
)
def test_a_range_that_was_not_asked_for_is_refused(server: FileServer, span: str | None) -> None:
    def other(exchange: Exchange) -> None:
        body = exchange.server.data[400_000:]
        exchange.answer(206, body, etag='"1"', content_range=span)

    server.faults.extend([cut(400_000), other])
    with pytest.raises(StorageError, match=r"contradicts itself|changed while it was read"):
        read(server)


def test_a_range_of_a_file_of_another_size_is_another_version(server: FileServer) -> None:
    def other(exchange: Exchange) -> None:
        body = exchange.server.data[400_000:]
        exchange.answer(206, body, etag='"1"', content_range="bytes 400000-999999/2000000")

    server.faults.extend([cut(400_000), other])
    with pytest.raises(StorageError, match="changed while it was read"):
        read(server)


def test_a_part_that_nobody_asked_for_is_refused(server: FileServer) -> None:
    server.faults.append(lambda one: one.answer(206, b"x", content_range="bytes 0-0/1"))
    with pytest.raises(StorageError, match="contradicts itself"):
        read(server)


def test_a_server_may_send_less_than_the_range(server: FileServer) -> None:
    def less(exchange: Exchange) -> None:
        body = exchange.server.data[400_000:500_000]
        exchange.answer(206, body, etag='"1"', content_range="bytes 400000-499999/1000000")

    server.faults.extend([cut(400_000), less])
    assert read(server) == server.data
    assert server.spans == [None, "bytes=400000-", "bytes=500000-"]


def test_a_file_that_shrank_is_another_version(server: FileServer) -> None:
    server.faults.extend([cut(400_000), status(416, content_range="bytes */300000")])
    with pytest.raises(StorageError, match="changed while it was read"):
        read(server)


def test_a_server_that_cannot_say_why_it_has_no_range_is_refused(server: FileServer) -> None:
    server.faults.extend([cut(400_000), status(416)])
    with pytest.raises(StorageError, match="contradicts itself"):
        read(server)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("offset", [1, 400_000, 999_999, 1_000_000, 1_000_001])
def test_reading_begins_at_any_byte(server: FileServer, ranges: bool, offset: int) -> None:
    server.ranges = ranges
    assert read(server, offset=offset) == server.data[offset:]
    assert server.spans == [f"bytes={offset}-"]


def test_what_begins_in_the_middle_is_gone_on_with(server: FileServer) -> None:
    server.faults.append(cut(400_000))
    assert read(server, offset=100_000) == server.data[100_000:]
    assert server.spans == ["bytes=100000-", "bytes=500000-"]


@pytest.mark.parametrize("cuts", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_any_number_of_resets_costs_few_bytes(server: FileServer, cuts: int) -> None:
    server.data = random.Random(3).randbytes(cuts * 150_000)
    spread = random.Random(4)
    server.faults.extend(cut(spread.randrange(70_000, 200_000)) for _ in range(cuts // 2))
    server.faults.extend(cut(spread.randrange(70_000)) for _ in range(3))
    server.faults.extend(cut(spread.randrange(70_000, 150_000)) for _ in range(cuts // 2 - 3))
    assert read(server) == server.data
    assert not server.faults
    assert server.sent <= 1.2 * len(server.data)
