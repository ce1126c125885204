"""``LocalDatasetEntry``: one revision of a dataset as an index keeps it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypedDict, cast

from atdata.errors import CorruptDataError, FieldError, NotFoundError
from atdata.index.cids import entry_cid
from atdata.index.metadata import read_json, to_json_object
from atdata.index.old_rows import ENTRY_KEY, from_hash, to_body, to_hash
from atdata.index.unreadable import MALFORMED, read_object
from atdata.stores import ShardInfo


class _Fields(TypedDict):
    name: str
    schema_ref: str
    data_urls: list[str]
    metadata: dict[str, Any] | None
    cid: str | None
    revision: int
    created_at: str | None
    shards: list[ShardInfo] | None
    content_cid: str | None
    legacy_uuid: str | None
    foreign: bool


class LocalDatasetEntry:
    """A dataset's name, schema reference, shard URLs and metadata; an immutable value.

    ``cid`` identifies schema reference and URLs, and ``content_cid`` schema and shard digests where
    those are known, which stays the same wherever the data lies. The arguments may be spelled with
    a leading underscore. ``FieldError`` if one is of the wrong type, or the metadata is not JSON.
    """

    def __init__(
        self,
        name: str | None = None,
        schema_ref: str | None = None,
        data_urls: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        given = dict(zip(_ARGUMENTS, (name, schema_ref, data_urls, metadata), strict=True))
        given = {key: value for key, value in given.items() if value is not None}
        given |= {key.removeprefix("_"): value for key, value in more.items()}
        if unknown := given.keys() - _NAMES:
            raise TypeError(f"an entry has no {', '.join(sorted(unknown))}")
        if absent := _REQUIRED - given.keys():
            raise TypeError(f"an entry needs {', '.join(sorted(absent))}")
        self._fields = _checked({**_DEFAULTS, **given})

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._fields["name"]

    @property
    def schema_ref(self) -> str:
        """The reference of its schema."""
        return self._fields["schema_ref"]

    @property
    def data_urls(self) -> list[str]:
        """The URLs of its shards, in order; brace patterns are kept as they were given."""
        return list(self._fields["data_urls"])

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Whatever was stored beside it, as JSON has it."""
        metadata = self._fields["metadata"]
        return None if metadata is None else dict(metadata)

    @cached_property
    def cid(self) -> str:
        """The CID of schema reference and URLs."""
        return self._fields["cid"] or entry_cid(self.schema_ref, self.data_urls)

    @property
    def content_cid(self) -> str | None:
        """The CID of schema and shard digests; None where the shards were not written by atdata."""
        return self._fields["content_cid"]

    @property
    def shards(self) -> list[ShardInfo] | None:
        """What is known of each shard; None where the shards were not written by atdata."""
        shards = self._fields["shards"]
        return None if shards is None else list(shards)

    @property
    def revision(self) -> int:
        """Which revision of the name this is, from 1 up."""
        return self._fields["revision"]

    @property
    def created_at(self) -> str | None:
        """When it was stored, in ISO 8601 with offset; None before that."""
        return self._fields["created_at"]

    @property
    def legacy_uuid(self) -> str | None:
        """The UUID that very early releases gave datasets."""
        return self._fields["legacy_uuid"]

    @property
    def foreign(self) -> bool:
        """Whether its URLs came from a stranger, so that only what is public is opened."""
        return self._fields["foreign"]

    @property
    def wds_url(self) -> str:
        """The first URL."""
        return self.data_urls[0]

    @property
    def sample_kind(self) -> str:
        """The schema reference, by its older name."""
        return self.schema_ref

    def stored(self, revision: int) -> LocalDatasetEntry:
        """Return the entry as that revision of its name, stored now unless it says when."""
        created_at = self.created_at or dt.datetime.now(dt.UTC).isoformat()
        fields: dict[str, Any] = {**self._fields, "revision": revision, "created_at": created_at}
        return LocalDatasetEntry(**fields)

    def to_record(self) -> bytes:
        """Return the entry as a JSON object."""
        shards = self.shards
        record: dict[str, Any] = {
            **self._fields,
            "cid": self.cid,
            "shards": None if shards is None else [_shard_record(shard) for shard in shards],
        }
        for absent in ("legacy_uuid", "foreign"):
            if not record[absent]:
                del record[absent]
        return json.dumps(record).encode()

    @classmethod
    def from_record(cls, body: bytes) -> LocalDatasetEntry:
        """Read an entry from a JSON object; ``CorruptDataError`` if it is something else."""
        try:
            record = read_object(body, read_json)
            # Later releases may say more.
            known = {key: value for key, value in record.items() if key in _NAMES}
            if known.get("shards") is not None:
                shards = _expect(known["shards"], list, "shards")
                known["shards"] = [_read_shard(shard) for shard in shards]
            return cls(**known)
        except MALFORMED as error:
            message = f"a dataset record of the index cannot be read: {error}"
            raise CorruptDataError(message) from error

    def write_to(self, redis: Any) -> None:
        """Store the entry in Redis as earlier releases did, in place of one with the same CID.

        An index in that database takes it over when it looks for what it has not.
        """
        key = f"{ENTRY_KEY}{self.cid}"
        with redis.pipeline() as pipeline:
            pipeline.delete(key)
            pipeline.hset(key, mapping=to_hash({**self._fields, "cid": self.cid}))
            pipeline.execute()

    @classmethod
    def from_redis(cls, redis: Any, cid: str) -> LocalDatasetEntry:
        """Read an entry that `write_to` or an earlier release stored.

        ``NotFoundError``, which is a KeyError, if there is none; ``CorruptDataError`` if it cannot
        be read.
        """
        # A client that decodes replies would fail at the msgpack in them.
        fields = redis.execute_command("HGETALL", f"{ENTRY_KEY}{cid}", NEVER_DECODE=True)
        if not fields:
            raise NotFoundError(f"no dataset with CID {cid!r:.120} in this database", cid=cid)
        try:
            return cls(**{**to_body(from_hash(fields, cid), 1), "created_at": None})
        except (ValueError, TypeError, OverflowError) as error:
            message = f"the hash {ENTRY_KEY}{cid:.120} cannot be read: {error}"
            raise CorruptDataError(message, cid=cid) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalDatasetEntry) and self.to_record() == other.to_record()

    def __hash__(self) -> int:
        return hash((self.name, self.cid, self.revision))

    def __repr__(self) -> str:
        shards = len(self._fields["data_urls"])
        return f"LocalDatasetEntry({self.name!r}, revision={self.revision}, shards={shards})"


_ARGUMENTS = ("name", "schema_ref", "data_urls", "metadata")
_REQUIRED = frozenset({"name", "schema_ref", "data_urls"})
_DEFAULTS: dict[str, Any] = {
    "metadata": None,
    "cid": None,
    "revision": 1,
    "created_at": None,
    "shards": None,
    "content_cid": None,
    "legacy_uuid": None,
    "foreign": False,
}
_NAMES = _REQUIRED | _DEFAULTS.keys()
_TEXTS = ("name", "schema_ref")
_OPTIONAL_TEXTS = ("cid", "created_at", "content_cid", "legacy_uuid")


def _checked(given: dict[str, Any]) -> _Fields:
    for key in _TEXTS:
        _expect(given[key], str, key)
    for key in _OPTIONAL_TEXTS:
        _expect(given[key], str | None, key)
    _expect(given["foreign"], bool, "foreign")
    urls, shards = given["data_urls"], given["shards"]
    if isinstance(urls, str) or not all(isinstance(url, str) for url in urls):
        raise FieldError(f"data_urls of an entry is a list of str, not {urls!r:.80}")
    for shard in shards or ():
        _expect(shard, ShardInfo, "shards")
    return cast(
        "_Fields",
        {
            **given,
            "data_urls": list(urls),
            "metadata": to_json_object(given["metadata"], given["name"]),
            "revision": _count(given["revision"], "revision"),
            "shards": None if shards is None else list(shards),
        },
    )


def _expect(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind):
        expected = getattr(kind, "__name__", kind)
        raise FieldError(f"{name} of an entry is {expected}, not {value!r:.80}", name=name)
    return value


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise FieldError(f"{name} of an entry is a number from 0 up, not {value!r:.80}", name=name)
    return value


def _shard_record(shard: ShardInfo) -> dict[str, Any]:
    record = {"url": shard.url, "count": shard.count, "bytes": shard.bytes, "sha256": shard.sha256}
    return {**record, "split": shard.split} if shard.split else record


def _read_shard(record: dict[str, Any]) -> ShardInfo:
    return ShardInfo(
        _expect(record.get("url"), str, "url"),
        _count(record.get("count"), "count"),
        _count(record.get("bytes"), "bytes"),
        _expect(record.get("sha256"), str, "sha256"),
        _expect(record.get("split"), str | None, "split"),
    )
