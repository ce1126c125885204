"""Connections are kept between requests, belong to one process, and are never left open unused."""

from __future__ import annotations

import gc
import multiprocessing
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.core.web.conftest import DATA
from tests.services.file_server import Exchange, FileServer, cut, file_server, status

from atdata.dataset.web import WebStream
from atdata.errors import StorageError


def read(url: str) -> bytes:
    with WebStream(f"{url}/a.tar", "a.tar") as stream:
        return stream.read()


def is_right(url: str) -> bool:
    return read(url) == DATA


def test_a_connection_is_used_again(server: FileServer) -> None:
    for _ in range(5):
        assert is_right(server.url)
    assert server.connections == 1


def test_what_is_busy_keeps_its_connection(server: FileServer) -> None:
    server.faults.extend([status(503), status(503)])
    assert is_right(server.url)
    assert server.connections == 1


def _serve_and_leave(exchange: Exchange) -> None:
    exchange.serve()
    exchange.close()


@pytest.mark.parametrize("leave", [_serve_and_leave, cut(1_000_000)], ids=["close", "reset"])
def test_a_connection_that_the_server_ended_is_not_missed(
    server: FileServer, leave: Callable[[Exchange], None]
) -> None:
    server.faults.extend([leave, leave, leave])
    for _ in range(4):
        assert is_right(server.url)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' table of sockets")


@on_linux
@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_a_stream_that_is_closed_early_leaves_nothing_open(server: FileServer, count: int) -> None:
    for _ in range(20):
        stream = WebStream(f"{server.url}/a.tar", "a.tar")
        assert len(stream.read(count)) <= count
        stream.close()
        stream.close()
    gc.collect()
    assert _open_connections(server) <= 1
    assert is_right(server.url)


@on_linux
def test_a_stream_that_is_forgotten_leaves_nothing_open(server: FileServer) -> None:
    for _ in range(5):
        WebStream(f"{server.url}/a.tar", "a.tar").read(10)
    gc.collect()
    assert _open_connections(server) <= 1


@on_linux
def test_a_stream_that_fails_leaves_nothing_open(server: FileServer) -> None:
    for _ in range(5):
        server.faults.append(status(400))
        with pytest.raises(StorageError):
            read(server.url)
    gc.collect()
    assert _open_connections(server) <= 1


def _open_connections(server: FileServer) -> int:
    """Count the connections to a server that are open at this end, as Linux says."""
    port = int(server.url.rpartition(":")[2])
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(row[2].endswith(f":{port:04X}") and row[3] in {"01", "08"} for row in rows)


def test_a_closed_stream_is_not_read(server: FileServer) -> None:
    stream = WebStream(f"{server.url}/a.tar", "a.tar")
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


def test_many_streams_are_open_at_once(server: FileServer) -> None:
    with ExitStack() as stack:
        streams = [
            stack.enter_context(WebStream(f"{server.url}/{n}.tar", "a.tar")) for n in range(50)
        ]
        for start in range(0, 1_000_000, 250_000):
            for stream in streams:
                buffer = bytearray(250_000)
                view = memoryview(buffer)
                while view:
                    view = view[stream.readinto(view) :]
                assert buffer == DATA[start : start + 250_000]


def test_threads_read_at_once(server: FileServer) -> None:
    server.faults.extend(cut(500_000) for _ in range(10))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_right, [server.url] * 40))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_connections_of_its_own(server: FileServer) -> None:
    with WebStream(f"{server.url}/a.tar", "a.tar") as begun:
        first = begun.read(1000)
        assert is_right(server.url)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(is_right, [server.url] * 6).get(timeout=60)
        assert found == [True] * 6
        assert first + begun.read() == DATA
    assert is_right(server.url)
    # Two here, and one in each child that had something to do.
    assert server.connections in {3, 4}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_while_threads_read_does_not_hang(server: FileServer) -> None:
    stopping = threading.Event()

    def keep_reading() -> None:
        while not stopping.is_set():
            read(server.url)

    context = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(4) as threads:
        reading = [threads.submit(keep_reading) for _ in range(4)]
        # An exit code would tell of coverage in the child, too.
        answers = context.SimpleQueue()
        for _ in range(5):
            child = context.Process(target=lambda: answers.put(is_right(server.url)))
            child.start()
            child.join(timeout=60)
            child.kill()
        stopping.set()
        for one in reading:
            one.result()
    found = []
    while not answers.empty():
        found.append(answers.get())
    assert found == [True] * 5


def test_a_server_is_reached_by_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with file_server(DATA, host="::1") as server:
        assert is_right(server.url)
        assert server.asked[0].headers["host"] == server.url.removeprefix("http://")
