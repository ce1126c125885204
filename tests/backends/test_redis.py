"""The Redis index, held to the contract of index providers over each kind of client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from tests.services.redis_server import OwnServer, Place, redis_cluster, redis_server

from atdata.index import IndexProvider
from atdata.testing import IndexProviderTests

__all__ = ["redis_cluster", "redis_server"]


class TestRedisProvider(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_server: Place) -> dict[str, Any]:
        return {"provider": "redis", "url": redis_server.fresh_url()}


class TestRedisProviderInClusterMode(IndexProviderTests):
    @pytest.fixture
    def options(self, redis_cluster: OwnServer) -> dict[str, Any]:
        with redis_cluster.client() as client:
            client.flushall()
        return {"provider": "redis", "url": redis_cluster.url}
