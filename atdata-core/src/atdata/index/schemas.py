"""The schemas of an index: versions of each class name over the record store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from atdata.errors import ConflictError, CorruptDataError, FieldError, NotFoundError
from atdata.index.datasets import scan_pages
from atdata.index.names import bump_patch, check_version, version_key
from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata.index.references import LOCAL, Reference
from atdata.samples import DictSample, Schema

SCHEMA = "schema"
FIRST_VERSION = "1.0.0"


@dataclass(frozen=True)
class LocalSchemaRecord:
    """A published schema: its record as stored, and what it says."""

    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The class name."""
        return str(self.record["name"])

    @property
    def version(self) -> str:
        """The semantic version."""
        return str(self.record["version"])

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The fields as the record describes them."""
        return list(self.record["fields"])

    @property
    def description(self) -> str | None:
        """What was said of it, if anything."""
        return self.record.get("description")

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What was stored beside it, if anything."""
        return self.record.get("metadata")

    @property
    def created_at(self) -> str | None:
        """When it was published, in ISO 8601 with offset."""
        return self.record.get("createdAt")

    @property
    def ref(self) -> str:
        """The reference it is found by."""
        return Reference(LOCAL, "schema", self.name, self.version).to_uri()

    @cached_property
    def schema(self) -> Schema:
        """What the fields mean; ``SchemaError`` if they mean nothing here."""
        return Schema.from_record(self.record)

    def to_type(self) -> type[Any]:
        """Make a sample class of it; the same one each time."""
        return self.schema.to_type(self.ref)

    def to_dict(self) -> dict[str, Any]:
        """Return the record with its reference as ``$ref``."""
        return {**self.record, "$ref": self.ref}


class SchemaRegistry:
    """Publishes and finds schemas; as safe for threads and processes as its provider."""

    def __init__(self, provider: IndexProvider) -> None:
        self._provider = provider

    def publish(
        self,
        sample_type: type,
        version: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> LocalSchemaRecord:
        """Store the schema of a type under a version, the next patch version if none is given.

        A version that exists with the same fields is returned as it is, one with other fields is
        a ``ConflictError`` that says which differ.
        """
        schema = Schema.from_type(sample_type)
        description = _own_docstring(sample_type) if description is None else description
        chosen = version and check_version(version)
        while True:
            record = _make_record(schema, chosen or self._next_version(schema.name), description, metadata)
            try:
                self._provider.commit(
                    [Put(Key(SCHEMA, record.name, record.version), _to_json(record), expect=ABSENT)]
                )
            except ConflictError as error:
                if chosen is None:
                    continue
                return self._same(schema, chosen, error)
            return record

    def ensure(self, sample_type: type) -> LocalSchemaRecord:
        """Return the newest version with the fields of a type, publishing one if there is none."""
        schema = Schema.from_type(sample_type)
        for record in reversed(self.versions(schema.name)):
            if record.schema == schema:
                return record
        return self.publish(sample_type)

    def get(self, ref: str) -> LocalSchemaRecord:
        """Return a schema by any form of reference; without version, the highest."""
        reference = Reference.parse(ref, "schema")
        if reference.authority != LOCAL:
            raise NotFoundError(f"{ref!r} is a schema of {reference.authority}, not of this index", ref=ref)
        if reference.version is not None:
            try:
                body = self._provider.get(Key(SCHEMA, reference.name, reference.version))
            except NotFoundError as error:
                raise _not_found(ref) from error
            return _from_json(body)
        versions = self.versions(reference.name)
        if not versions:
            raise _not_found(ref)
        return versions[-1]

    def versions(self, name: str) -> list[LocalSchemaRecord]:
        """Return all versions of a class name, lowest first."""
        found = [_from_json(body) for _, body in self._provider.scan(SCHEMA, name)]
        return sorted(found, key=lambda record: version_key(record.version))

    def iterate(self) -> Iterator[LocalSchemaRecord]:
        """Yield all schemas, by name, fetched in pages."""
        for _, body in scan_pages(self._provider, SCHEMA):
            yield _from_json(body)

    def _next_version(self, name: str) -> str:
        versions = self.versions(name)
        return bump_patch(versions[-1].version) if versions else FIRST_VERSION

    def _same(self, schema: Schema, version: str, cause: ConflictError) -> LocalSchemaRecord:
        existing = _from_json(self._provider.get(Key(SCHEMA, schema.name, version)))
        if existing.schema == schema:
            return existing
        raise ConflictError(
            f"schema {schema.name}@{version} exists with other fields "
            f"({existing.schema.difference(schema)}); publish a new version",
            ref=existing.ref,
        ) from cause


def _own_docstring(sample_type: type) -> str | None:
    # A dataclass without a docstring gets its signature for one, which says nothing new.
    text = sample_type.__doc__
    is_generated = text is None or text.startswith(f"{sample_type.__name__}(")
    return None if is_generated or sample_type is DictSample else text


def _make_record(
    schema: Schema, version: str, description: str | None, metadata: Mapping[str, Any] | None
) -> LocalSchemaRecord:
    record: dict[str, Any] = {
        "name": schema.name,
        "version": version,
        "fields": schema.to_fields(),
        "description": description,
        "createdAt": dt.datetime.now(dt.UTC).isoformat(),
    }
    return LocalSchemaRecord({**record, "metadata": dict(metadata)} if metadata else record)


def _to_json(record: LocalSchemaRecord) -> bytes:
    try:
        return json.dumps(dict(record.record), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FieldError(f"the metadata of schema {record.name} is not JSON: {error}") from error


def _from_json(body: bytes) -> LocalSchemaRecord:
    try:
        record = json.loads(body)
        return LocalSchemaRecord({**record, "name": record["name"], "version": record["version"]})
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptDataError(f"a schema record of the index cannot be read: {error}") from error


def _not_found(ref: str) -> NotFoundError:
    return NotFoundError(f"no schema {ref!r} in this index; list_schemas() shows what there is", ref=ref)
