"""The Redis index, held to the contracts of indexes and providers over each kind of client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from tests.services.redis_server import OwnServer, Place

from atdata import Index
from atdata.protocols import AbstractIndex
from atdata.testing import IndexProviderTests, IndexTests


class TestIndexInRedis(IndexTests):
    @pytest.fixture
    def open_index(self, redis_server: Place) -> Iterator[Callable[[], AbstractIndex]]:
        url = redis_server.fresh_url()
        with ExitStack() as stack:
            yield lambda: stack.enter_context(Index(url=url, allow=["/"]))


class TestIndexOnAClientThatDecodesReplies(IndexTests):
    @pytest.fixture
    def open_index(self, redis_server: Place) -> Iterator[Callable[[], AbstractIndex]]:
        client = redis.Redis.from_url(redis_server.fresh_url(), decode_responses=True)
        with client, ExitStack() as stack:
            yield lambda: stack.enter_context(Index(redis=client, allow=["/"]))


class TestIndexInACluster(IndexTests):
    @pytest.fixture
    def open_index(self, redis_cluster: OwnServer) -> Iterator[Callable[[], AbstractIndex]]:
        with redis_cluster.client() as client:
            client.flushall()
        with _connect(redis_cluster.port) as cluster, ExitStack() as stack:
            yield lambda: stack.enter_context(Index(redis=cluster, allow=["/"]))


class TestRedisProvider(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_server: Place) -> dict[str, Any]:
        return {"provider": "redis", "url": redis_server.fresh_url()}


class TestRedisProviderThatDecodesReplies(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_server: Place) -> dict[str, Any]:
        url = redis_server.fresh_url()
        return {"provider": "redis", "url": url, "decode_responses": True, "protocol": 2}


class TestRedisProviderInClusterMode(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_cluster: OwnServer) -> dict[str, Any]:
        with redis_cluster.client() as client:
            client.flushall()
        return {"provider": "redis", "url": redis_cluster.url}


class ClusterClient(redis.RedisCluster):
    """A client of a cluster that other processes can be given."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _connect, (self.get_default_node().port,)  # type: ignore[no-untyped-call]


def _connect(port: int) -> ClusterClient:
    return ClusterClient(host="127.0.0.1", port=port, decode_responses=True)


class TestRedisProviderOnAClientOfACluster(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_cluster: OwnServer) -> Iterator[dict[str, Any]]:
        with redis_cluster.client() as client:
            client.flushall()
        cluster = _connect(redis_cluster.port)
        yield {"redis": cluster}
        cluster.close()
