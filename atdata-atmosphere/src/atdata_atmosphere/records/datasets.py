"""Dataset records: written in the first generation's form, read in every one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atdata.dataset.braces import expand_all
from atdata.errors import FieldError, InvalidNameError
from atdata.shards import ShardInfo
from atdata_atmosphere.records.bounds import Reader, check_length, check_record
from atdata_atmosphere.records.clock import now
from atdata_atmosphere.records.collections import DATASET, expect_kind
from atdata_atmosphere.records.encodings import decode_metadata, encode_metadata
from atdata_atmosphere.records.shard_facts import ShardFacts, read_facts, write_facts
from atdata_atmosphere.records.storage import Storage, external_storage, read_storage

MAX_TAGS = 30
MAX_NAME = 200
MAX_REFERENCE = 500


@dataclass(frozen=True)
class Description:
    """What a publisher says of a dataset; checked when a record is made of it."""

    description: str | None = None
    tags: Sequence[str] | None = None
    license: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DatasetRecord:
    """What a dataset record of any generation says; ``record`` is the record itself."""

    name: str
    schema_ref: str
    storage: Storage
    created_at: str
    description: str | None
    tags: tuple[str, ...]
    license: str | None
    metadata: dict[str, Any] | None
    content_metadata: Mapping[str, Any] | None
    metadata_url: str | None
    size: Mapping[str, int]
    facts: tuple[ShardFacts, ...] | None
    record: Mapping[str, Any]

    def shards(self, publisher: str) -> list[ShardInfo] | None:
        """Return what is known of each shard; None where the record does not say."""
        if self.facts is None:
            return None
        urls = expand_all(self.storage.data_urls(publisher))
        if len(self.facts) != len(urls):
            return None
        return [
            ShardInfo(url, fact.samples, fact.bytes, fact.sha256, fact.split)
            for url, fact in zip(urls, self.facts, strict=True)
        ]


def dataset_to_record(
    name: str,
    schema_ref: str,
    storage: Mapping[str, Any],
    said: Description,
    facts: Sequence[ShardFacts] | None = None,
) -> dict[str, Any]:
    """Describe a dataset as a record; ``storage`` is from ``external_storage`` or another.

    Raises:
        InvalidNameError: the schema's reference is no AT URI.
        FieldError: something is of the wrong type, or the metadata is not JSON.
        LimitExceededError: something is longer than a record may have it.
    """
    if not schema_ref.startswith("at://"):
        raise InvalidNameError(
            f"{schema_ref!r:.200} is no AT URI; publish the schema first and refer to that",
            ref=schema_ref,
        )
    if not name:
        raise FieldError("a dataset record needs a name", field="name")
    record: dict[str, Any] = {
        "$type": DATASET,
        "name": check_length(name, MAX_NAME, "the name of a dataset"),
        "schemaRef": check_length(schema_ref, MAX_REFERENCE, "the reference of a schema"),
        "storage": dict(storage),
        "createdAt": now(),
        **_said(said, name),
        **write_facts(facts),
    }
    check_record(record)
    return record


def check_described(
    name: str, said: Description, urls: Sequence[str] = ("https://example.org",)
) -> None:
    """Raise as ``dataset_to_record`` does, before what cannot be taken back is published."""
    dataset_to_record(name, "at://x", external_storage(urls), said)


def rewritten(record: Mapping[str, Any], said: Description) -> dict[str, Any]:
    """Return a record of any generation with a new description; what is not said anew stays."""
    known = expect_kind(record, "dataset")
    changed = {**known, **_said(said, str(known.get("name")))}
    check_record(changed)
    return changed


def read_dataset(record: Any, uri: object = None) -> DatasetRecord:
    """Read a dataset record; ``CorruptDataError`` names the field that cannot be understood."""
    known = expect_kind(record, "dataset", uri)
    reader = Reader(known, str(uri or "record"))
    content = known.get("contentMetadata")
    storage = read_storage(known.get("storage"), reader.where)
    return DatasetRecord(
        name=reader.text("name", 10 * MAX_NAME),
        schema_ref=reader.text("schemaRef", 10 * MAX_REFERENCE),
        storage=storage,
        created_at=reader.optional_text("createdAt") or "",
        description=reader.optional_text("description", 100_000),
        tags=tuple(reader.texts("tags", 1000)),
        license=reader.optional_text("license"),
        metadata=decode_metadata(known.get("metadata"), f"{reader.where}.metadata"),
        content_metadata=content if isinstance(content, Mapping) else None,
        metadata_url=reader.optional_text("metadataUrl"),
        size=_read_size(reader),
        facts=read_facts(reader),
        record=known,
    )


def _said(said: Description, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said.description:
        found["description"] = check_length(said.description, 5000, f"the description of {name}")
    if said.tags:
        found["tags"] = _checked_tags(said.tags, name)
    if said.license:
        found["license"] = check_length(said.license, 200, f"the licence of {name}")
    if said.metadata:
        found["metadata"] = encode_metadata(said.metadata, name)
    return found


def _checked_tags(tags: Sequence[str], name: str) -> list[str]:
    if isinstance(tags, str) or len(tags) > MAX_TAGS:
        raise FieldError(f"the tags of {name} are a list of at most {MAX_TAGS}", field="tags")
    return [check_length(tag, 150, f"a tag of {name}") for tag in tags]


def _read_size(reader: Reader) -> dict[str, int]:
    if reader.record.get("size") is None:
        return {}
    size = reader.below("size")
    counts = {key: size.optional_count(key) for key in ("samples", "bytes", "shards")}
    return {key: count for key, count in counts.items() if count is not None}
