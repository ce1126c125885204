"""Indexes with one fault each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from atdata.errors import ConflictError, NotFoundError
from atdata.index import Index, LocalDatasetEntry
from atdata.index.provider import Key, Put
from atdata.samples import Schema


class Sound(Index):
    """The index itself."""


class OldestFirst(Index):
    def get_dataset(self, ref: str) -> LocalDatasetEntry:
        return self.history(ref)[-1]


class MatchingPrefixes(Index):
    def get_dataset(self, ref: str) -> LocalDatasetEntry:
        for entry in self.datasets:
            if entry.name.startswith(ref):
                return entry
        return super().get_dataset(ref)


class MissingAsNone(Index):
    def get_dataset(self, ref: str) -> Any:
        try:
            return super().get_dataset(ref)
        except NotFoundError:
            return None

    def get_schema(self, ref: str) -> Any:
        try:
            return super().get_schema(ref)
        except NotFoundError:
            return None


class NormalisingNames(Index):
    def insert_dataset(self, ds: Any, *, name: str, **options: Any) -> LocalDatasetEntry:
        plain = "".join(letter if letter.isalnum() else "-" for letter in name.casefold())
        return super().insert_dataset(ds, name=plain.strip("-") or "x", **options)


class DroppingMetadata(Index):
    def insert_dataset(
        self, ds: Any, *, metadata: Mapping[str, Any] | None = None, **options: Any
    ) -> LocalDatasetEntry:
        return super().insert_dataset(ds, **options)


class MetadataAsText(Index):
    def insert_dataset(
        self, ds: Any, *, metadata: Mapping[str, Any] | None = None, **options: Any
    ) -> LocalDatasetEntry:
        texts = None if metadata is None else {key: str(item) for key, item in metadata.items()}
        return super().insert_dataset(ds, metadata=texts, **options)


class ExpandingURLs(Index):
    def insert_dataset(self, ds: Any, *, name: str, **options: Any) -> LocalDatasetEntry:
        entry = super().insert_dataset(ds, name=name, **options)
        return LocalDatasetEntry(name, entry.schema_ref, ds.list_shards())


class PublishingAgain(Index):
    def insert_dataset(
        self, ds: Any, *, schema_ref: str | None = None, **options: Any
    ) -> LocalDatasetEntry:
        ref = schema_ref or self.publish_schema(ds.sample_type)
        return super().insert_dataset(ds, schema_ref=ref, **options)


class IgnoringSchemas(Index):
    def insert_dataset(
        self, ds: Any, *, schema_ref: str | None = None, **options: Any
    ) -> LocalDatasetEntry:
        return super().insert_dataset(ds, **options)


class Republishing(Index):
    """What is published under a version replaces what was there."""

    def publish_schema(self, sample_type: type, **options: Any) -> str:
        try:
            return super().publish_schema(sample_type, **options)
        except ConflictError as error:
            record = {**self.get_schema(error.details["ref"])}
            record["fields"] = Schema.from_type(sample_type).to_fields()
            key = Key("schema", record["name"], record["version"])
            self.provider.commit([Put(key, json.dumps(record).encode())])
            return str(error.details["ref"])


class ForgettingDescriptions(Index):
    def publish_schema(self, sample_type: type, **options: Any) -> str:
        return super().publish_schema(sample_type, **{**options, "description": None})


class OneTypePerName(Index):
    """Types are remembered by the name of their class."""

    known: ClassVar[dict[str, type]] = {}

    def decode_schema(self, ref: str) -> type[Any]:
        decoded = super().decode_schema(ref)
        return self.known.setdefault(decoded.__name__, decoded)


class ForgettingOptional(Index):
    def decode_schema(self, ref: str) -> type[Any]:
        record = {**self.get_schema(ref)}
        record["fields"] = [{**field, "optional": False} for field in record["fields"]]
        return Schema.from_record(record).to_type(ref)


class NewTypeEachTime(Index):
    count = 0

    def decode_schema(self, ref: str) -> type[Any]:
        self.count += 1
        return Schema.from_record(self.get_schema(ref)).to_type(f"{ref}#{self.count}")


class ListingByPosition(Index):
    """Lists by position, which moves when others insert."""

    @property
    def datasets(self) -> Iterator[LocalDatasetEntry]:
        position = 0
        while page := self.newest_first()[position : position + 1]:
            yield from page
            position += 1

    def newest_first(self) -> list[LocalDatasetEntry]:
        return sorted(super().datasets, key=lambda entry: entry.created_at or "", reverse=True)


class ListingAtOnce(Index):
    @property
    def datasets(self) -> Any:
        return self.list_datasets()


class OnePage(Index):
    def list_datasets(self) -> list[LocalDatasetEntry]:
        return super().list_datasets()[:5]


class Caching(Index):
    """What was listed once is what there is."""

    listed: list[LocalDatasetEntry] | None = None

    def list_datasets(self) -> list[LocalDatasetEntry]:
        if self.listed is None:
            self.listed = super().list_datasets()
        return self.listed

    def get_dataset(self, ref: str) -> LocalDatasetEntry:
        for entry in self.list_datasets():
            if entry.name == ref:
                return entry
        raise NotFoundError(f"no dataset {ref!r}")
