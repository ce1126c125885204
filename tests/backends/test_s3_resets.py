"""Reading from S3 over connections that break, and objects that change meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.services.cutting_proxy import cutting
from tests.services.s3_server import S3Server

from atdata import Dataset
from atdata.errors import ShardNotFoundError, StorageError
from atdata.stores import S3DataStore
from atdata.testing.spooled import put

DATA = random.Random(1).randbytes(20 << 20)


@pytest.fixture
def options(s3_server: S3Server) -> dict[str, Any]:
    return s3_server.fresh_bucket()


def through(proxy: Any, options: dict[str, Any]) -> Any:
    return S3DataStore(**options, endpoint=proxy.endpoint)


def cuts(seed: int, count: int, largest: int) -> Iterator[int]:
    rng = random.Random(seed)
    return (rng.randrange(1, largest) for _ in range(count))


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_r1_a_shard_is_read_whole_over_connections_that_are_reset(
    s3_server: S3Server, options: dict[str, Any], rounds: int
) -> None:
    url = put(S3DataStore(**options), "a.tar", DATA)
    for seed in range(rounds):
        with cutting(s3_server.endpoint, cuts(seed, 5, 8 << 20)) as proxy:
            with through(proxy, options).open(url) as stream:
                parts = list(iter(lambda: stream.read(256 << 10), b""))
            assert b"".join(parts) == DATA
            assert proxy.connections > 1
            assert proxy.sent <= 1.2 * len(DATA)


def test_r1_a_dataset_is_read_whole_over_connections_that_are_reset(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    shards = S3DataStore(**options).write_samples(items(2000), prefix="mine")
    with cutting(s3_server.endpoint, [200_000, 100, 500_000]) as proxy:
        source = through(proxy, options).create_source([shard.url for shard in shards])
        assert list(Dataset[Item](source)) == items(2000)
        assert proxy.connections > 3


def test_a_shard_is_put_whole_over_connections_that_are_reset(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    with cutting(s3_server.endpoint, [1, 60, 400, 10, 900]) as proxy:
        url = put(through(proxy, options), "a.tar", DATA * 2)
    store = S3DataStore(**options)
    assert list(store.list()) == [url]
    with store.open(url) as stream:
        assert stream.read() == DATA * 2


def test_a_connection_that_always_breaks_is_an_error(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    url = put(S3DataStore(**options), "a.tar", DATA)
    with (
        cutting(s3_server.endpoint, (5000 for _ in iter(int, 1))) as proxy,
        through(proxy, options).open(url) as stream,
        pytest.raises(StorageError, match=r"a\.tar breaks off at byte \d+"),
    ):
        stream.read()


def test_a_closed_stream_reads_no_more(options: dict[str, Any]) -> None:
    store: Any = S3DataStore(**options)
    stream = store.open(put(store, "a.tar", DATA))
    stream.read(10)
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(10)


def test_r2_an_object_that_is_replaced_while_it_is_read_is_never_mixed(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    url = put(S3DataStore(**options), "a.tar", DATA)
    with (
        cutting(s3_server.endpoint, [4 << 20]) as proxy,
        through(proxy, options).open(url) as stream,
    ):
        stream.read(1 << 20)
        s3_server.client.put_object(Bucket=options["bucket"], Key="a.tar", Body=DATA[::-1])
        with pytest.raises(StorageError, match=r"a\.tar was replaced while it was read"):
            stream.read()


def test_an_object_that_is_deleted_while_it_is_read_is_missing(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    store = S3DataStore(**options)
    url = put(store, "a.tar", DATA)
    with (
        cutting(s3_server.endpoint, [4 << 20]) as proxy,
        through(proxy, options).open(url) as stream,
    ):
        stream.read(1 << 20)
        store.delete(url)
        with pytest.raises(ShardNotFoundError):
            stream.read()


@pytest.mark.slow
def test_r4_a_connection_that_falls_silent_is_given_up_and_the_shard_read_whole(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    url = put(S3DataStore(**options), "a.tar", DATA)
    with (
        cutting(s3_server.endpoint, [4 << 20], hangs=True) as proxy,
        through(proxy, options).open(url) as stream,
    ):
        assert stream.read() == DATA


def test_a_lost_answer_to_a_put_is_neither_a_conflict_nor_a_failure(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    store = S3DataStore(**options)
    for cut in range(1, 900, 120):
        with cutting(s3_server.endpoint, [cut]) as proxy:
            url = put(through(proxy, options), f"{cut}.tar", b"data")
        with store.open(url) as stream:
            assert stream.read() == b"data"
