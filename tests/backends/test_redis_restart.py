"""A Redis server that is killed, restarted and cut off: nothing is lost, and nothing twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import redis
from tests.services.cutting_proxy import cutting
from tests.services.redis_server import Launcher, OwnServer

from atdata import Dataset, DictSample, Index
from atdata.errors import StorageError
from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata_redis.provider import RedisProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'
LIMIT_SECONDS = 10


@pytest.fixture
def server(redis_launcher: Launcher) -> OwnServer:
    return redis_launcher.start_durable()


@pytest.fixture(params=["url", "client"])
def provider(request: pytest.FixtureRequest, server: OwnServer) -> Iterator[RedisProvider]:
    """Open an index by its URL, and over a client as users make it."""
    if request.param == "url":
        with closing(RedisProvider(url=server.url)) as provider:
            yield provider
    else:
        with redis.Redis(port=server.port) as client, closing(RedisProvider(client)) as provider:
            yield provider


def _append(store: IndexProvider, writer: int, stop: threading.Event) -> int:
    """Write new records until told to stop, and return how many were acknowledged."""
    number = 0
    while not stop.is_set():
        # A commit that is applied twice finds its own record there, which is a conflict.
        keys = [Key("k", f"{writer}", f"{number:06d}{part}") for part in "ab"]
        store.commit([Put(key, ONE, ABSENT) for key in keys])
        number += 1
    return number


def _append_while(
    stores: list[RedisProvider], disturb: Callable[[], None]
) -> dict[int, tuple[int, int]]:
    """Return how many records of each writer were acknowledged, and how many there are."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(stores)) as threads:
        writing = [
            threads.submit(_append, store, writer, stop) for writer, store in enumerate(stores)
        ]
        try:
            disturb()
        finally:
            stop.set()
        written = [one.result() for one in writing]
    return {
        writer: (2 * count, len(stores[0].scan("k", f"{writer}")))
        for writer, count in enumerate(written)
    }


def _kill_and_restart(server: OwnServer, rounds: int) -> None:
    chance = random.Random(rounds)
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.3))
        server.kill()
        time.sleep(chance.uniform(0, 0.1))
        server.start()


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_b5_b6_no_write_is_lost_or_doubled_when_the_server_is_killed(
    server: OwnServer, rounds: int
) -> None:
    with (
        closing(RedisProvider(url=server.url)) as one,
        closing(RedisProvider(url=server.url)) as other,
    ):
        found = _append_while([one, other], lambda: _kill_and_restart(server, rounds))
    assert all(acknowledged == stored > 0 for acknowledged, stored in found.values()), found


def test_b5_b6_no_write_is_lost_or_doubled_over_a_client_that_tries_again_by_itself(
    server: OwnServer,
) -> None:
    with redis.Redis(port=server.port) as client, closing(RedisProvider(client)) as provider:
        found = _append_while([provider], lambda: _kill_and_restart(server, 1))
    assert all(acknowledged == stored > 0 for acknowledged, stored in found.values()), found


def test_b5_the_next_read_after_a_restart_works_in_time(
    server: OwnServer, provider: RedisProvider
) -> None:
    provider.commit([Put(KEY, ONE)])
    server.kill()
    server.start()
    started = time.monotonic()
    assert provider.get(KEY) == ONE
    assert provider.scan("kind") == [(KEY, ONE)]
    assert time.monotonic() - started < LIMIT_SECONDS


def test_b5_a_read_waits_for_a_server_that_is_being_restarted(server: OwnServer) -> None:
    with closing(RedisProvider(url=server.url)) as provider:
        provider.commit([Put(KEY, ONE)])
        server.kill()
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(provider.get, KEY)
            time.sleep(0.5)
            assert not reading.done()
            server.start()
            assert reading.result() == ONE


@pytest.mark.slow
def test_a_server_that_stays_away_is_an_error_and_used_again_once_it_is_back(
    server: OwnServer,
) -> None:
    with closing(RedisProvider(url=server.url)) as provider:
        server.kill()
        with pytest.raises(StorageError, match="cannot be reached"):
            provider.commit([Put(KEY, ONE)])
        server.start()
        provider.commit([Put(KEY, ONE, ABSENT)])
        assert provider.get(KEY) == ONE


def test_b6_closing_ends_the_wait_for_a_server(server: OwnServer) -> None:
    provider = RedisProvider(url=server.url)
    server.kill()
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(provider.get, KEY)
        time.sleep(0.2)
        provider.close()
        with pytest.raises(StorageError, match="closed"):
            reading.result()


def test_scripts_that_the_server_forgot_are_sent_again(
    server: OwnServer, provider: RedisProvider
) -> None:
    provider.commit([Put(KEY, ONE)])
    with server.client() as client:
        client.script_flush()
    assert provider.scan("kind") == [(KEY, ONE)]
    provider.commit([Put(KEY, ONE, ONE)])


@pytest.mark.parametrize("commits", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_b1_a_commit_whose_answer_is_lost_is_made_once(server: OwnServer, commits: int) -> None:
    chance = random.Random(commits)
    # The first connection lasts until the index is open, the others break off in any answer:
    # while they are made, which takes up to 200 bytes, or later.
    cuts = (800, *(chance.randrange(150, 350) for _ in range(20 * commits)))
    with cutting(server.url, cuts) as proxy:
        port = proxy.server_address[1]
        with closing(RedisProvider(port=port, protocol=2)) as provider:
            for number in range(commits):
                provider.commit([Put(Key("k", f"{number:04d}", ""), ONE, ABSENT)])
                assert provider.get(Key("k", f"{number:04d}", "")) == ONE
        assert proxy.connections > commits / 20
    with closing(RedisProvider(url=server.url)) as provider:
        assert len(provider.scan("k")) == commits


def test_an_index_inserts_each_revision_once_though_the_server_is_killed(
    server: OwnServer,
) -> None:
    with Index(url=server.url) as index, ThreadPoolExecutor(1) as threads:
        killing = threads.submit(_kill_and_restart, server, 3)
        count = 0
        while not killing.done():
            count += 1
            dataset = Dataset(f"https://example.org/data-{count}.tar", sample_type=DictSample)
            index.add_entry(dataset, name="n", schema_ref="atdata://local/schema/S@1.0.0")
        killing.result()
        urls = [entry.data_urls for entry in reversed(index.history("n"))]
    assert urls == [[f"https://example.org/data-{number + 1}.tar"] for number in range(count)]
