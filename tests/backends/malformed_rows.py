"""Rows that no atdata would put into an index, made up from a seed, and put past it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from typing import Any, NamedTuple

import psycopg
import redis

KINDS = ("dataset", "revision", "cid", "schema", "write")
TIME = "2020-01-01T00:00:00+00:00"
PLACE = {"place": "another machine", "pid": 1, "start": "1"}
BODIES: dict[str, dict[str, Any]] = {
    "dataset": {
        "name": "x",
        "schema_ref": "atdata://local/sampleSchema/Note@1.0.0",
        "data_urls": ["a.tar", "b-{0..3}.tar"],
        "metadata": {"a": 1},
        "cid": "bafy",
        "revision": 1,
        "created_at": TIME,
        "content_cid": None,
        "shards": [{"url": "a.tar", "count": 1, "bytes": 1024, "sha256": "0" * 64}],
    },
    "cid": {"name": "x", "revision": 1},
    "schema": {
        "name": "Note",
        "version": "1.0.0",
        "createdAt": TIME,
        "description": "text",
        "fields": [{"name": "text", "fieldType": {"$type": "primitive", "primitive": "str"}}],
    },
    "write": {"store": "s", "prefix": "p", "process": PLACE, "seen": TIME, "secret": "0" * 32},
}
BODIES["revision"] = BODIES["dataset"]
ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 2**70, 1e300, "", "x" * 5000, "\ud800", "a\0b", "{{", "{0..9999999999}"),
    *(
        [],
        {},
        [None],
        [[]],
        {"a": {}},
        [5],
        "pipe:true",
        "../../etc/passwd",
        "9999-99-99",
        "\uff12",
    ),
    *("\uff12", "2020-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
]
RAW = [
    *(b"", b"\xff\xfe", b"{", b"[]", b"5", b"null", b'"text"', b"NaN", b'{"a": NaN}', b"\0"),
    *(b"[" * 5000, b'{"a":' * 2000, b"1" * 5000, b'{"revision": 1e400}', b'{"a": 1, "a": 2}'),
    *(b'{"name": "\\ud800"}', b'{"data_urls": ["\\u0000"]}', b'\xef\xbb\xbf{"a": 1}'),
]
VERSIONS = [
    "",
    "x",
    "00000001",
    "1",
    "1.0.0",
    "99999999",
    "seen",
    "x@00000001",
    "@",
    "1.0." + "9" * 90,
]


class Row(NamedTuple):
    """A row as a database takes it."""

    kind: str
    name: bytes
    version: bytes
    body: bytes


def malformed_rows(count: int, seed: int, names: list[str]) -> Iterator[Row]:
    """Yield rows of all kinds; ``names`` are some that the index has, which others than it name."""
    random = Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        # A key of its own: what the index has itself is not changed.
        name = random.choice([*names, "x", "Note", "ä/\N{DUCK}", "n" * 500, "*"])
        version = f"{number}-{random.choice(VERSIONS)}"
        if random.random() < 0.7:
            name, version = f"{number}.{name}", random.choice(VERSIONS)
        yield Row(kind, *_odd_key(random, name, version), _body(random, kind))


def _odd_key(random: Random, name: str, version: str) -> tuple[bytes, bytes]:
    odd = random.random()
    tail = b"\xff" if odd < 0.05 else b"n" * 1500 if odd < 0.1 else b"\0" if odd < 0.15 else b""
    return name.encode() + tail, version.encode()


def _body(random: Random, kind: str) -> bytes:
    way = random.random()
    if way < 0.3:
        return random.choice(RAW)
    if way < 0.4:
        return json.dumps(random.choice(ODD_VALUES)).encode()
    body = dict(BODIES[kind])
    for _ in range(random.randint(1, 3)):
        part = random.choice(list(BODIES[kind]))
        if random.random() < 0.3:
            body.pop(part, None)
        else:
            body[part] = random.choice(ODD_VALUES)
    text = json.dumps(body).encode()
    return text[: random.randrange(len(text))] if way < 0.5 else text


def plant_in_sqlite(path: str, rows: list[Row]) -> int:
    """Put rows into an SQLite file, as text of any bytes."""
    insert = (
        "INSERT OR IGNORE INTO atdata_records VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), "
        "CASE ? % 3 WHEN 0 THEN ? ELSE CAST(? AS TEXT) END)"
    )
    values = ((*row[:3], number, row.body, row.body) for number, row in enumerate(rows))
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.executemany(insert, values).rowcount


def plant_in_redis(url: str, rows: list[Row]) -> int:
    """Put rows into a Redis database, some without a body."""
    with redis.Redis.from_url(url) as client, client.pipeline() as pipeline:
        for number, row in enumerate(rows):
            member = row.name + b"\0" + row.version
            if number % 50:
                pipeline.hset(f"{{atdata}}:bodies:{row.kind}", member, row.body)
            pipeline.zadd(f"{{atdata}}:order:{row.kind}", {member: 0})
        pipeline.execute()
    return len(rows)


def plant_in_postgres(dsn: str, rows: list[Row]) -> int:
    """Put those rows that PostgreSQL takes into its table."""
    insert = "INSERT INTO atdata_records VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
    with psycopg.connect(dsn) as connection:
        return sum(_insert(connection, insert, row) for row in rows)


def _insert(connection: psycopg.Connection[Any], insert: str, row: Row) -> int:
    try:
        kind, name, version, body = row.kind, row.name.decode(), row.version.decode(), row.body
        with connection.transaction():
            return connection.execute(insert, (kind, name, version, body.decode())).rowcount
    except (UnicodeDecodeError, psycopg.DataError, psycopg.OperationalError):
        return 0


PLANT: dict[str, Callable[[str, list[Row]], int]] = {
    "path": plant_in_sqlite,
    "url": plant_in_redis,
    "dsn": plant_in_postgres,
}
