"""Which server an index is on: the client that leads there, and a name without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.cluster import ClusterPipeline
from redis.retry import Retry

# One limit for every command: an unreachable host is an error, not a wait without end.
TIMEOUTS: Final = {"socket_connect_timeout": 5.0, "socket_timeout": 10.0}

# A redis.Redis or redis.RedisCluster: half of their methods are not typed.
Client = Any
_CLIENTS: Final = (redis.Redis, redis.RedisCluster)


class Address:
    """Options of ``redis.Redis``, and perhaps a URL in place of some; may be pickled.

    They may hold the password, so they are not shown.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        if "url" in options and (clash := options.keys() & {"host", "port", "db"}):
            raise TypeError(f"url= names the server already; leave out {', '.join(sorted(clash))}")
        self.options = dict(options)

    def connect(self) -> redis.Redis:
        """Make a client, which does not connect yet, and leaves it to us when to try again."""
        options = {**TIMEOUTS, "retry": Retry(NoBackoff(), 0), **self.options}
        url = options.pop("url", None)
        if url is None:
            return redis.Redis(**options)
        try:
            return redis.Redis.from_url(url, **options)
        except ValueError:
            # Its text quotes what it takes for the port, which may be a piece of the password.
            message = "url= is no redis://, rediss:// or unix:// URL; percent-encode the password"
            raise ValueError(message) from None

    def __repr__(self) -> str:
        return "Address(...)"


def check_client(client: object) -> Client:
    """Return a client that can be used here; TypeError for any other."""
    if isinstance(client, redis.asyncio.Redis | redis.asyncio.RedisCluster):
        raise TypeError("redis= takes a synchronous client; give redis.Redis, not redis.asyncio's")
    if isinstance(client, Pipeline | ClusterPipeline) or not isinstance(client, _CLIENTS):
        kind = type(client).__name__
        raise TypeError(f"redis= takes a redis.Redis or redis.RedisCluster, not a {kind}")
    return client


def is_cluster(client: Client) -> bool:
    """Tell whether a client finds the servers of a cluster by itself."""
    return isinstance(client, redis.RedisCluster)


def name_of(client: Client) -> str:
    """Return the URL of a client's server, without user and password."""
    if is_cluster(client):
        node = client.get_default_node()
        return f"redis://{node.host}:{node.port}/0"
    pool = client.connection_pool
    options = pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}?db={options.get('db') or 0}"
    scheme = "rediss" if issubclass(pool.connection_class, redis.SSLConnection) else "redis"
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return f"{scheme}://{host}:{port}/{options.get('db') or 0}"
