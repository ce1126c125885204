"""What earlier atdata releases left in a Redis database, as records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import NoPermissionError

from atdata.index.old_rows import (
    ENTRY_KEY,
    Record,
    from_hash,
    leave,
    records_from_entries,
    records_from_schemas,
)
from atdata_redis.failures import translate
from atdata_redis.server import Server, to_map

SCHEMAS: Final = "LocalSchema:"
_PLACE: Final = "its key"
_PAGE: Final = 1000


def old_records(server: Server) -> list[Record]:
    """Return the records of datasets and schemas; what cannot be read is warned of.

    Entries bear no time: those of one name become its revisions in the order of their CIDs.
    """
    entries = dict(_read(server, ENTRY_KEY, "HGETALL"))
    schemas = dict(_read(server, SCHEMAS, "GET"))
    rows = [from_hash(to_map(entries[cid]), cid) for cid in sorted(entries)]
    return [
        *records_from_entries(rows, _PLACE),
        *records_from_schemas(_to_schemas(schemas), _PLACE),
    ]


def _read(server: Server, prefix: str, verb: str) -> Iterator[tuple[str, Any]]:
    """Yield the rest of each key behind the prefix, with its value; other types are left."""
    for node in server.nodes():
        keys = sorted(_keys(server, node, prefix))
        for first in range(0, len(keys), _PAGE):
            page = keys[first : first + _PAGE]
            values = server.on_node(node, *((verb, key) for key in page))
            for key, value in zip(page, values, strict=True):
                name = key.decode(errors="replace").removeprefix(prefix)
                if isinstance(value, Exception):
                    leave(f"{prefix}{name}", _PLACE, value)
                elif value:
                    yield name, value


def _keys(server: Server, node: Any, prefix: str) -> set[bytes]:
    """Return the keys behind a prefix; a scan may give one twice."""
    keys: set[bytes] = set()
    cursor: Any = 0
    while True:
        (answer,) = server.on_node(node, ("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _PAGE))
        if isinstance(answer, NoPermissionError):
            # Who may not list keys has an index without them.
            return set()
        if isinstance(answer, Exception):
            raise translate(answer, server.name) from answer
        cursor, page = answer
        keys.update(page)
        if int(cursor) == 0:
            return keys


def _to_schemas(values: dict[str, bytes]) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and text; a name without module goes before the same one with it."""
    seen: set[tuple[str, str]] = set()
    for key in sorted(values, key=lambda key: ("." in key.partition("@")[0], key)):
        full_name, _, version = key.rpartition("@")
        name = full_name.rpartition(".")[2]
        if (name, version) in seen:
            leave(f"{SCHEMAS}{key}", _PLACE, ValueError("another module has the same name"))
            continue
        seen.add((name, version))
        yield name, version, values[key].decode(errors="replace")
