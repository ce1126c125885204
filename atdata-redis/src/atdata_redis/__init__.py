"""Index provider that keeps records in Redis or Valkey; registered here, imported when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.hookspecs import hookimpl

if TYPE_CHECKING:
    from atdata.hookspecs import Register


@hookimpl
def register_index_providers(register: Register) -> None:
    """Register the provider that keeps records on a server."""
    register("redis", "atdata_redis.provider:RedisProvider")
