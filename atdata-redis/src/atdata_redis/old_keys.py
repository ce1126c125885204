"""What earlier atdata releases left in a Redis database, as records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import NoPermissionError

from atdata.errors import InvalidNameError
from atdata.index.names import version_key
from atdata.index.old_rows import (
    ENTRY_KEY,
    OldEntry,
    Record,
    from_hash,
    leave,
    records_from_entries,
    records_from_schemas,
)
from atdata_redis.failures import translate
from atdata_redis.server import Server, to_map

SCHEMAS: Final = "LocalSchema:"
_LABELS: Final = "Label:"
_PLACE: Final = "its key"
_PAGE: Final = 1000


def old_records(server: Server) -> list[Record]:
    """Return the records of datasets and schemas; what cannot be read is warned of.

    Entries bear no time: those of one name become its revisions in the order of their CIDs. What
    bears the name as a label comes after them, in the order of its versions.
    """
    entries = dict(_read(server, ENTRY_KEY, "HGETALL"))
    schemas = dict(_read(server, SCHEMAS, "GET"))
    rows = [from_hash(to_map(entries[cid]), cid) for cid in sorted(entries)]
    labels = [to_map(label) for _, label in _read(server, _LABELS, "HGETALL")]
    return [
        *records_from_entries([*rows, *_labelled(rows, labels)], _PLACE),
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
                    # The keys of others may be called like labels.
                    if prefix != _LABELS:
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


def _labelled(rows: list[OldEntry], labels: list[dict[bytes, bytes]]) -> Iterator[OldEntry]:
    """Yield the entries that labels lead to, under their names."""
    known = {row.cid: row for row in rows}
    for label in sorted(labels, key=_version_order):
        entry = known.get(label.get(b"cid", b"").decode(errors="replace"))
        if entry is not None and b"name" in label:
            yield entry._replace(name=label[b"name"].decode(errors="replace"))


def _version_order(label: dict[bytes, bytes]) -> tuple[Any, ...]:
    version = label.get(b"version", b"").decode(errors="replace")
    try:
        return True, version_key(version)
    except InvalidNameError:
        return False, version


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
