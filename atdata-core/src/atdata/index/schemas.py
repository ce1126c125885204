"""The schemas of an index: versions of each class name over the record store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from atdata.errors import ConflictError, InvalidNameError, NotFoundError, SchemaError
from atdata.index.datasets import scan_pages
from atdata.index.metadata import read_json, to_json_object
from atdata.index.names import (
    MAX_VERSION_LENGTH,
    VersionKey,
    bump_patch,
    check_class_name,
    check_version,
    looked_up,
    version_key,
)
from atdata.index.provider import ABSENT, Key, Put
from atdata.index.references import LOCAL, Reference
from atdata.index.unreadable import MALFORMED, read_object, readable, some_readable, unreadable
from atdata.samples import DictSample, Schema

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider

T = TypeVar("T")

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
        return self._said("description", str)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What was stored beside it, if anything."""
        return self._said("metadata", dict)

    @property
    def created_at(self) -> str | None:
        """When it was published, in ISO 8601 with offset."""
        return self._said("createdAt", str)

    def _said(self, key: str, kind: type[T]) -> T | None:
        # Other writers may put anything there, which says nothing of the fields.
        value = self.record.get(key)
        return value if isinstance(value, kind) else None

    @property
    def ref(self) -> str:
        """The reference it is found by."""
        return Reference(LOCAL, "schema", self.name, self.version).to_uri()

    @cached_property
    def schema(self) -> Schema:
        """What the fields mean; ``SchemaError`` if they mean nothing here."""
        return Schema.from_record(self.record)

    def is_of(self, schema: Schema) -> bool:
        """Tell whether its fields are those of a schema; what cannot be understood is not."""
        try:
            return self.schema == schema
        except SchemaError:
            return False

    def to_type(self) -> type[Any]:
        """Make a sample class of it; the same one each time."""
        return self.schema.to_type(self.ref)

    def difference(self, schema: Schema) -> str:
        """Say in words which fields of another schema differ from these."""
        try:
            return self.schema.difference(schema)
        except SchemaError as error:
            return str(error)

    def with_version(self, version: str) -> LocalSchemaRecord:
        """Return the same record under another version."""
        return LocalSchemaRecord({**self.record, "version": version})

    def to_dict(self) -> dict[str, Any]:
        """Return the record with its reference as ``$ref``."""
        return {**self.record, "$ref": self.ref}


class SchemaRegistry:
    """Publishes and finds schemas; as safe for threads and processes as its provider.

    Records that no reference can name, which earlier releases may have left, are passed over.
    """

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
        draft = _draft(sample_type, description, metadata)
        if version is not None:
            record = draft.with_version(check_version(version))
            return record if self._put(record) else self._existing(record)
        while True:
            _, version = self._known(draft.name)
            record = draft.with_version(version)
            if self._put(record):
                return record

    def ensure(self, sample_type: type) -> LocalSchemaRecord:
        """Return the newest version with the fields of a type, publishing one if there is none."""
        draft = _draft(sample_type, None, None)
        while True:
            versions, following = self._known(draft.name)
            for record in reversed(versions):
                if record.is_of(draft.schema):
                    return record
            record = draft.with_version(following)
            if self._put(record):
                return record

    def adopt(self, record: LocalSchemaRecord) -> LocalSchemaRecord:
        """Store a record of another index as it is, or find the version that has its fields.

        Where its version has other fields here, it becomes the next patch version.
        """
        while not self._put(record):
            versions, following = self._known(record.name)
            for known in reversed(versions):
                if known.is_of(record.schema):
                    return known
            record = record.with_version(following)
        return record

    @looked_up
    def get(self, ref: str) -> LocalSchemaRecord:
        """Return a schema by any form of reference; without version, the highest."""
        reference = Reference.parse(ref, "schema")
        if reference.authority != LOCAL:
            message = f"{ref!r:.300} is a schema of {reference.authority}, not of this index"
            raise NotFoundError(message, ref=ref)
        if reference.version is not None:
            found = self._get(Key(SCHEMA, reference.name, reference.version))
        else:
            found = self._highest(reference.name)
        if found is None:
            message = f"no schema {ref!r:.300} in this index; list_schemas() shows what there is"
            raise NotFoundError(message, ref=ref)
        return found

    def _known(self, name: str) -> tuple[list[LocalSchemaRecord], str]:
        """Return the versions that can be read, lowest first, and the one to publish next."""
        found = sorted(filter(_is_named, self._provider.scan(SCHEMA, name)), key=_order)
        versions = list(readable(self._provider, found, _from_json))
        return versions, _next_version([key.version for key, _ in found])

    def iterate(self) -> Iterator[LocalSchemaRecord]:
        """Yield all schemas, by name, fetched in pages."""
        found = scan_pages(self._provider, SCHEMA)
        return readable(self._provider, filter(_is_named, found), _from_json)

    def _highest(self, name: str) -> LocalSchemaRecord | None:
        """Return the highest version that can be read; an error if there are others only."""
        found = sorted(filter(_is_named, self._provider.scan(SCHEMA, name)), key=_order)
        records = some_readable(self._provider, found, _from_json)
        return records[-1] if records else None

    def _get(self, key: Key) -> LocalSchemaRecord | None:
        try:
            return _from_json(key, self._provider.get(key))
        except NotFoundError:
            return None

    def _put(self, record: LocalSchemaRecord) -> bool:
        """Store a record unless its version is taken."""
        body = json.dumps(dict(record.record)).encode()
        try:
            self._provider.commit([Put(_key_of(record), body, expect=ABSENT)])
        except ConflictError:
            return False
        return True

    def _existing(self, record: LocalSchemaRecord) -> LocalSchemaRecord:
        key = _key_of(record)
        existing = _from_json(key, self._provider.get(key))
        if existing.is_of(record.schema):
            return existing
        raise ConflictError(
            f"schema {record.name}@{record.version} exists with other fields "
            f"({existing.difference(record.schema)}); publish a new version",
            ref=existing.ref,
        )


def _draft(
    sample_type: type, description: str | None, metadata: Mapping[str, Any] | None
) -> LocalSchemaRecord:
    """Describe a type as a record that has no version yet."""
    schema = Schema.from_type(sample_type)
    record: dict[str, Any] = {
        "name": schema.name,
        "version": None,
        "fields": schema.to_fields(),
        "description": _own_docstring(sample_type) if description is None else description,
        "createdAt": dt.datetime.now(dt.UTC).isoformat(),
    }
    if metadata is not None:
        record["metadata"] = to_json_object(metadata, schema.name)
    # A schema that could not be read again is refused now.
    Schema.from_record(record)
    return LocalSchemaRecord(record)


def _own_docstring(sample_type: type) -> str | None:
    # A dataclass without a docstring gets its signature for one, which says nothing new.
    text = sample_type.__doc__
    is_generated = text is None or text.startswith(f"{sample_type.__name__}(")
    return None if is_generated or sample_type is DictSample else text


def _next_version(taken: Sequence[str]) -> str:
    """Return the patch version after the last one, or the next that is free below it.

    After some versions none can follow: a version has a greatest length.
    """
    for version in reversed(taken):
        following = bump_patch(version)
        if len(following) <= MAX_VERSION_LENGTH and following not in taken:
            return following
    return FIRST_VERSION


def _key_of(record: LocalSchemaRecord) -> Key:
    return Key(SCHEMA, record.name, record.version)


def _is_named(found: tuple[Key, bytes]) -> bool:
    """Tell whether a reference can name a record."""
    key, _ = found
    try:
        check_class_name(key.name)
        check_version(key.version)
    except InvalidNameError:
        return False
    return True


def _order(found: tuple[Key, bytes]) -> VersionKey:
    return version_key(found[0].version)


def _from_json(key: Key, body: bytes) -> LocalSchemaRecord:
    try:
        record = read_object(body, read_json)
        if (record["name"], record["version"]) != (key.name, key.version):
            raise ValueError("it bears the name or version of another")
        if not isinstance(record["fields"], list):
            raise TypeError("its fields are no list")
    except MALFORMED as error:
        raise unreadable(key, error) from error
    return LocalSchemaRecord(record)
