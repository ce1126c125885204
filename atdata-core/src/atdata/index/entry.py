"""``LocalDatasetEntry``: one revision of a dataset as an index keeps it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from atdata.errors import CorruptDataError, FieldError
from atdata.index.cids import entry_cid
from atdata.stores import ShardInfo


class LocalDatasetEntry:
    """A dataset's name, schema reference, shard URLs and metadata; an immutable value.

    ``cid`` identifies schema reference and URLs, and ``content_cid`` schema and shard digests where
    those are known, which stays the same wherever the data lies. The arguments may be spelled with
    a leading underscore.
    """

    def __init__(
        self,
        name: str | None = None,
        schema_ref: str | None = None,
        data_urls: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        given = {"name": name, "schema_ref": schema_ref, "data_urls": data_urls, "metadata": metadata}
        given = {key: value for key, value in given.items() if value is not None}
        given |= {key.removeprefix("_"): value for key, value in more.items()}
        if unknown := given.keys() - _NAMES:
            raise TypeError(f"an entry has no {', '.join(sorted(unknown))}")
        if absent := _REQUIRED - given.keys():
            raise TypeError(f"an entry needs {', '.join(sorted(absent))}")
        self._fields: dict[str, Any] = {**_DEFAULTS, **given}
        self._fields["data_urls"] = list(self._fields["data_urls"])

    @property
    def name(self) -> str:
        """The dataset's name."""
        return str(self._fields["name"])

    @property
    def schema_ref(self) -> str:
        """The reference of its schema."""
        return str(self._fields["schema_ref"])

    @property
    def data_urls(self) -> list[str]:
        """The URLs of its shards, in order; brace patterns are kept as they were given."""
        return list(self._fields["data_urls"])

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Whatever was stored beside it, as JSON has it."""
        return self._fields["metadata"]  # type: ignore[no-any-return]

    @cached_property
    def cid(self) -> str:
        """The CID of schema reference and URLs."""
        return self._fields["cid"] or entry_cid(self.schema_ref, self.data_urls)

    @property
    def content_cid(self) -> str | None:
        """The CID of schema and shard digests; None where the shards were not written by atdata."""
        return self._fields["content_cid"]  # type: ignore[no-any-return]

    @property
    def shards(self) -> list[ShardInfo] | None:
        """What is known of each shard; None where the shards were not written by atdata."""
        return self._fields["shards"]  # type: ignore[no-any-return]

    @property
    def revision(self) -> int:
        """Which revision of the name this is, from 1 up."""
        return int(self._fields["revision"])

    @property
    def created_at(self) -> str | None:
        """When it was stored, in ISO 8601 with offset; None before that."""
        return self._fields["created_at"]  # type: ignore[no-any-return]

    @property
    def legacy_uuid(self) -> str | None:
        """The UUID that very early releases gave datasets."""
        return self._fields["legacy_uuid"]  # type: ignore[no-any-return]

    @property
    def wds_url(self) -> str:
        """The first URL."""
        return self.data_urls[0]

    @property
    def sample_kind(self) -> str:
        """The schema reference, by its older name."""
        return self.schema_ref

    def stored(self, revision: int) -> LocalDatasetEntry:
        """Return the entry as that revision of its name, stored now."""
        now = dt.datetime.now(dt.UTC).isoformat()
        return LocalDatasetEntry(**{**self._fields, "revision": revision, "created_at": now})

    def to_record(self) -> bytes:
        """Return the entry as JSON; ``FieldError`` if the metadata is not."""
        shards = self.shards
        record = {
            **self._fields,
            "cid": self.cid,
            "shards": None if shards is None else [_shard_record(shard) for shard in shards],
        }
        if record["legacy_uuid"] is None:
            del record["legacy_uuid"]
        try:
            return json.dumps(record, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise FieldError(
                f"the metadata of {self.name!r} is not JSON ({error}); use str, int, float, bool, None, "
                "lists and dicts",
                name=self.name,
            ) from error

    @classmethod
    def from_record(cls, body: bytes) -> LocalDatasetEntry:
        """Read an entry from JSON; ``CorruptDataError`` if it is something else."""
        try:
            record = json.loads(body)
            shards = record.get("shards")
            infos = None if shards is None else [ShardInfo(**shard) for shard in shards]
            # Later releases may say more.
            known = {key: value for key, value in record.items() if key in _NAMES}
            return cls(**{**known, "shards": infos})
        except (ValueError, TypeError, AttributeError) as error:
            raise CorruptDataError(f"a dataset record of the index cannot be read: {error}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalDatasetEntry) and self.to_record() == other.to_record()

    def __hash__(self) -> int:
        return hash((self.name, self.cid, self.revision))

    def __repr__(self) -> str:
        return f"LocalDatasetEntry({self.name!r}, revision={self.revision}, shards={len(self.data_urls)})"


_DEFAULTS: dict[str, Any] = {
    "metadata": None,
    "cid": None,
    "revision": 1,
    "created_at": None,
    "shards": None,
    "content_cid": None,
    "legacy_uuid": None,
}
_REQUIRED = frozenset({"name", "schema_ref", "data_urls"})
_NAMES = _REQUIRED | _DEFAULTS.keys()


def _shard_record(shard: ShardInfo) -> dict[str, Any]:
    record = {"url": shard.url, "count": shard.count, "bytes": shard.bytes, "sha256": shard.sha256}
    return {**record, "split": shard.split} if shard.split else record
