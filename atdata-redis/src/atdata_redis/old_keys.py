"""What earlier atdata releases left in a Redis database, as records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
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
from atdata.index.provider import Key, check_key
from atdata_redis.failures import translate
from atdata_redis.server import Server, to_map

SCHEMAS: Final = "LocalSchema:"
LABELS: Final = "Label:"
PLACE: Final = "its key"
# Records that say which keys are records already.
TAKEN: Final = "taken"
_PAGE: Final = 1000


def old_records(server: Server) -> list[Record]:
    """Return the records of datasets and schemas; what cannot be read is warned of.

    Entries bear no time: those of one name become its revisions in the order of their CIDs. What
    bears the name as a label comes after them, in the order of its versions.
    """
    entries = dict(read(server, ENTRY_KEY, "HGETALL"))
    schemas = dict(read(server, SCHEMAS, "GET"))
    labels = dict(read(server, LABELS, "HGETALL"))
    rows = [from_hash(to_map(entries[cid]), cid) for cid in sorted(entries)]
    found = {ENTRY_KEY: entries, SCHEMAS: schemas, LABELS: labels}
    return [
        *records_from_entries([*rows, *_labelled(rows, map(to_map, labels.values()))], PLACE),
        *records_from_schemas(to_schemas(schemas), PLACE),
        *_taken(f"{prefix}{name}" for prefix, names in found.items() for name in names),
    ]


def read(
    server: Server, prefix: str, verb: str, known: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield the rest of each key behind the prefix, with its value; other types are left.

    Keys that are known are not read.
    """
    for node in server.nodes():
        keys = sorted(key for key in _keys(server, node, prefix) if _name(key) not in known)
        for first in range(0, len(keys), _PAGE):
            page = keys[first : first + _PAGE]
            values = server.on_node(node, *((verb, key) for key in page))
            for key, value in zip(page, values, strict=True):
                name = _name(key).removeprefix(prefix)
                if isinstance(value, Exception):
                    # The keys of others may be called like labels.
                    if prefix != LABELS:
                        leave(f"{prefix}{name}", PLACE, value)
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


def _name(key: bytes) -> str:
    return key.decode(errors="replace")


def _taken(names: Iterable[str]) -> Iterator[Record]:
    """Yield the records that keys are taken over; of some there can be none."""
    for name in names:
        key = Key(TAKEN, name, "")
        with suppress(InvalidNameError):
            check_key(key)
            yield key, b"{}"


def _labelled(rows: list[OldEntry], labels: Iterable[dict[bytes, bytes]]) -> Iterator[OldEntry]:
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


def to_schemas(values: dict[str, bytes]) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and text; a name without module goes before the same one with it."""
    seen: set[tuple[str, str]] = set()
    for key in sorted(values, key=lambda key: ("." in key.partition("@")[0], key)):
        full_name, _, version = key.rpartition("@")
        name = full_name.rpartition(".")[2]
        if (name, version) in seen:
            leave(f"{SCHEMAS}{key}", PLACE, ValueError("another module has the same name"))
            continue
        seen.add((name, version))
        yield name, version, values[key].decode(errors="replace")
