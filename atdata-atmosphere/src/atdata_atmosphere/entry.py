"""``AtmosphereIndexEntry``: a dataset record as an index entry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from atdata.index.cids import entry_cid
from atdata.shards import ShardInfo
from atdata_atmosphere.records.datasets import DatasetRecord, read_dataset
from atdata_atmosphere.uri import AtUri


class AtmosphereIndexEntry:
    """A dataset of somebody's repository; an immutable value.

    ``uri`` is by DID. The record may be of any generation; what is wrong with it comes out when it
    is read, as ``CorruptDataError`` that names the field.
    """

    def __init__(self, uri: str | AtUri, record: Mapping[str, Any]) -> None:
        self._uri = str(uri)
        self._record = dict(record)

    @property
    def uri(self) -> str:
        """The AT URI of the record."""
        return self._uri

    @property
    def publisher(self) -> str:
        """The DID of whose repository it is in."""
        return AtUri.parse(self._uri).authority

    @cached_property
    def parsed(self) -> DatasetRecord:
        """What the record says."""
        return read_dataset(self._record, self._uri)

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.parsed.name

    @property
    def schema_ref(self) -> str:
        """The AT URI of its schema."""
        return self.parsed.schema_ref

    @property
    def data_urls(self) -> list[str]:
        """The URLs of its shards, of which those in blobs are ``at://did/blob/cid``."""
        return self.parsed.storage.data_urls(self.publisher)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What was published beside it."""
        return self.parsed.metadata

    @property
    def description(self) -> str | None:
        """What was said of it."""
        return self.parsed.description

    @property
    def tags(self) -> list[str]:
        """The tags it is found by."""
        return list(self.parsed.tags)

    @property
    def license(self) -> str | None:
        """Its licence, as SPDX identifier or URL."""
        return self.parsed.license

    @property
    def created_at(self) -> str:
        """When it was published, as its publisher says."""
        return self.parsed.created_at

    @property
    def cid(self) -> str:
        """The CID of schema reference and URLs, as of every index entry."""
        return entry_cid(self.schema_ref, self.data_urls)

    @property
    def shards(self) -> list[ShardInfo] | None:
        """What is known of each shard; None where the record does not say."""
        return self.parsed.shards(self.publisher)

    @property
    def foreign(self) -> bool:
        """Whether its URLs came from a stranger; they did."""
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AtmosphereIndexEntry):
            return NotImplemented
        return (self._uri, self._record) == (other._uri, other._record)

    def __hash__(self) -> int:
        return hash(self._uri)

    def __repr__(self) -> str:
        return f"AtmosphereIndexEntry({self._uri!r})"
