"""The warning about servers that may lose what they were given."""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

from redis.exceptions import ResponseError

from atdata.forks import ForkLock
from atdata_redis.server import Server, to_map

_warned: Final[set[str]] = set()
_lock: Final = ForkLock()
_DATABASE: Final = re.compile(r"(/|\?db=)\d+$")
# From here to whoever opens an `Index`.
_CALLER: Final = 5


class VolatileServerWarning(UserWarning):
    """A Redis server keeps nothing on disk, or may evict keys."""


def warn_if_volatile(server: Server) -> None:
    """Warn, once per server and process, if records can be lost while all goes well."""
    place = _DATABASE.sub("", server.name)
    if place in _warned:
        return
    faults = [fault for node in server.nodes() for fault in _faults(server, node)]
    with _lock:
        is_first = place not in _warned
        _warned.add(place)
    if faults and is_first:
        message = f"the Redis server at {place} {' and '.join(dict.fromkeys(faults))}"
        warnings.warn(message, VolatileServerWarning, stacklevel=_CALLER)


def _faults(server: Server, node: Any) -> list[str]:
    settings = _settings(server, node)
    faults = []
    if settings.get(b"appendonly") == b"no" and settings.get(b"save") == b"":
        faults.append("keeps nothing on disk (set appendonly to yes)")
    policy = settings.get(b"maxmemory-policy", b"")
    if settings.get(b"maxmemory", b"0") != b"0" and policy.startswith(b"allkeys"):
        faults.append("may evict records (set maxmemory-policy to noeviction)")
    return faults


def _settings(server: Server, node: Any) -> dict[bytes, bytes]:
    """Return the settings that can be read: hosted servers often forbid it."""
    patterns = ("appendonly", "save", "maxmemory*")
    answers = server.on_node(node, *(("CONFIG", "GET", pattern) for pattern in patterns))
    settings: dict[bytes, bytes] = {}
    for answer in answers:
        if not isinstance(answer, ResponseError):
            settings |= to_map(answer)
    return settings
