"""Records made from the SQL rows and Redis hashes that earlier atdata releases kept."""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import msgpack

from atdata.errors import AtdataError
from atdata.index.bodies import check_body
from atdata.index.cids import entry_cid
from atdata.index.provider import Key, check_key

Record = tuple[Key, bytes]

ENTRY_KEY = "LocalDatasetEntry:"
_EPOCH = "1970-01-01"


class OldEntry(NamedTuple):
    """One row of the table ``dataset_entries``, or one hash; lists and maps are msgpack."""

    cid: str | None
    name: str
    schema_ref: str
    data_urls: bytes
    metadata: bytes | None
    legacy_uuid: str | None
    created_at: str | None


def from_hash(fields: Mapping[bytes, bytes], cid: str) -> OldEntry:
    """Return what a Redis hash under ``LocalDatasetEntry:{cid}`` says; hashes bear no time."""
    text = {name: value.decode(errors="replace") for name, value in fields.items()}
    return OldEntry(
        text.get(b"cid", cid),
        text.get(b"name", ""),
        text.get(b"schema_ref", ""),
        fields.get(b"data_urls", b""),
        fields.get(b"metadata"),
        text.get(b"legacy_uuid"),
        None,
    )


def to_hash(body: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Return the Redis hash that earlier releases read as this dataset record."""
    fields: dict[str, str | bytes] = {name: body[name] for name in ("name", "schema_ref", "cid")}
    fields["data_urls"] = msgpack.packb(body["data_urls"])
    if body["metadata"] is not None:
        fields["metadata"] = msgpack.packb(body["metadata"])
    if body.get("legacy_uuid") is not None:
        fields["legacy_uuid"] = body["legacy_uuid"]
    return fields


def select_entries(number: str, *, has_labels: bool) -> str:
    """Return the SQL that reads rows as `OldEntry`, oldest first.

    ``number`` is the column that tells in which order rows came. A label is a further name, and a
    row of its own: that of the dataset which it was given to, when it was given.
    """
    labels = f"""
        UNION ALL
        SELECT dataset_entries.cid, labels.name, schema_ref, data_urls, metadata, legacy_uuid,
            labels.created_at, 1, labels.{number}
        FROM labels JOIN dataset_entries ON dataset_entries.cid = labels.cid
    """  # noqa: S608 -- all of it is written here and in backends
    # PostgreSQL would take a bare name in ORDER BY for the text that is selected.
    return f"""
        SELECT cid, name, schema_ref, data_urls, metadata, legacy_uuid,
            CAST(found.created_at AS TEXT)
        FROM (
            SELECT cid, name, schema_ref, data_urls, metadata, legacy_uuid,
                created_at, 0 AS part, {number} AS place
            FROM dataset_entries
            {labels if has_labels else ""}
        ) AS found
        ORDER BY found.created_at NULLS FIRST, part, place
    """  # noqa: S608 -- see above


def records_from_entries(
    rows: Iterable[OldEntry], place: str = "table dataset_entries"
) -> Iterator[Record]:
    """Yield the records of datasets, given oldest first: rows of one name become its revisions.

    A row that repeats the one before of its name is passed over, as labels mostly do.
    What JSON cannot hold in ``metadata`` changes its form: bytes become ``{"$bytes": base64}``,
    times ISO text, NaN and infinities their names. A row that cannot be read is left out with a
    warning.
    """
    revisions: Counter[str] = Counter()
    newest: dict[str, Record] = {}
    cids: dict[str, str | None] = {}
    for row in rows:
        if row.cid is not None and row.cid == cids.get(row.name):
            continue
        try:
            records = _from_entry(row, revisions[row.name] + 1)
        except (AtdataError, ValueError, TypeError, OverflowError) as error:
            leave(f"dataset {row.name!r} ({row.cid})", place, error)
            continue
        revisions[row.name] += 1
        newest[row.name] = records[0]
        cids[row.name] = row.cid
        yield from records[1:]
    yield from newest.values()


def records_from_schemas(
    rows: Iterable[tuple[str, str, str]], place: str = "table schemas"
) -> Iterator[Record]:
    """Yield the records of schemas, given as name, version and JSON text.

    Both count as they are given, whatever the text says: it may bear the class with its module.
    """
    for name, version, text in rows:
        try:
            record = json.loads(text)
            if not isinstance(record, dict) or not isinstance(record.get("fields"), list):
                raise TypeError("it has no list of fields")
            body = {**record, "name": name, "version": version}
            yield _to_record(Key("schema", name, version), body)
        except (AtdataError, ValueError, TypeError, RecursionError) as error:
            leave(f"schema {name!r} {version!r}", place, error)


def leave(thing: str, place: str, error: Exception) -> None:
    """Warn that something of an earlier release is not taken over, and where it stays."""
    message = f"{thing} of an earlier release was not taken over and stays in {place}"
    warnings.warn(f"{message}: {error}", stacklevel=2)


def to_body(row: OldEntry, revision: int) -> dict[str, Any]:
    """Return a dataset record; ValueError, TypeError or OverflowError if it cannot be read."""
    urls = msgpack.unpackb(row.data_urls)
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ValueError("data_urls is no list of strings")
    metadata = None
    if row.metadata is not None:
        metadata = msgpack.unpackb(row.metadata, strict_map_key=False, timestamp=3)
        if not isinstance(metadata, dict):
            raise ValueError("metadata is no map")
    cid = row.cid or entry_cid(row.schema_ref, urls)
    body: dict[str, Any] = {
        "name": row.name,
        "schema_ref": row.schema_ref,
        "data_urls": urls,
        "metadata": metadata,
        "cid": cid,
        "revision": revision,
        "created_at": _to_iso(row.created_at),
        "shards": None,
        "content_cid": None,
    }
    if row.legacy_uuid is not None:
        body["legacy_uuid"] = row.legacy_uuid
    return cast("dict[str, Any]", _to_json(body))


def _from_entry(row: OldEntry, revision: int) -> list[Record]:
    body = to_body(row, revision)
    number = f"{revision:08d}"
    pointer = {"name": row.name, "revision": revision}
    return [
        _to_record(Key("dataset", row.name, ""), body),
        _to_record(Key("revision", row.name, number), body),
        _to_record(Key("cid", body["cid"], f"{row.name}@{number}"), pointer),
    ]


def _to_record(key: Key, value: Any) -> Record:
    body = json.dumps(_to_json(value), ensure_ascii=False, separators=(",", ":")).encode()
    check_key(key)
    check_body(body)
    return key, body


def _to_json(value: Any) -> Any:  # noqa: PLR0911 - one return a type
    if isinstance(value, dict):
        return {_to_json(str(name)): _to_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _to_iso(text: str | None) -> str:
    """Return the UTC time that SQL wrote as ISO 8601; the epoch where there is none."""
    try:
        time = datetime.fromisoformat(text or _EPOCH)
    except ValueError:
        time = datetime.fromisoformat(_EPOCH)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
