"""Which server an index is on: the client that leads there, and a name without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.cluster import ClusterPipeline
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from atdata.errors import InvalidNameError

# One limit for every command: an unreachable host is an error, not a wait without end.
TIMEOUTS: Final = {"socket_connect_timeout": 5.0, "socket_timeout": 10.0}

# A redis.Redis or redis.RedisCluster: half of their methods are not typed.
Client = Any
_CLIENTS: Final = (redis.Redis, redis.RedisCluster)
_DATABASE: Final = re.compile(r"/?[0-9]*/?")


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
        if not _is_url(url):
            # Nothing of it is quoted, for any part may be a piece of the password.
            message = "url= is no URL such as redis://user:password@host:6379/0, with rediss:// for"
            remedy = "percent-encode the password"
            raise InvalidNameError(f"{message} TLS or unix:// for a socket; {remedy}")
        return redis.Redis.from_url(url, **options)

    def __repr__(self) -> str:
        return "Address(...)"


def _is_url(url: object) -> bool:
    """Tell whether redis.Redis takes a URL, and passes over no part of it."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        pool = redis.ConnectionPool.from_url(url)
        # Options that there are not would come out when it connects.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.RedisError):
        return False
    # A password that is not encoded ends at any of "/?#", and the rest would be something else.
    is_whole = "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    return is_whole and (parts.scheme == "unix" or bool(_DATABASE.fullmatch(parts.path)))


def check_client(client: object) -> Client:
    """Return a client that can be used here; TypeError for any other."""
    if isinstance(client, redis.asyncio.Redis | redis.asyncio.RedisCluster):
        raise TypeError("redis= takes a synchronous client; give redis.Redis, not redis.asyncio's")
    if isinstance(client, Pipeline | ClusterPipeline) or not isinstance(client, _CLIENTS):
        kind = type(client).__name__
        raise TypeError(f"redis= takes a redis.Redis or redis.RedisCluster, not a {kind}")
    if isinstance(client, redis.Redis) and client.connection is not None:
        # A forked child would read the answers to its parent from its single connection.
        return redis.Redis(connection_pool=client.connection_pool)
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
    if isinstance(pool, SentinelConnectionPool):
        return f"sentinel://{pool.service_name}/{options.get('db') or 0}"
    if "path" in options:
        return f"unix://{options['path']}?db={options.get('db') or 0}"
    scheme = "rediss" if issubclass(pool.connection_class, redis.SSLConnection) else "redis"
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return f"{scheme}://{host}:{port}/{options.get('db') or 0}"
