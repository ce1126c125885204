"""Schemas in repositories: published from sample types, and found again."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atdata.errors import ConflictError, SchemaError
from atdata.index.names import bump_patch
from atdata.samples import Schema
from atdata_atmosphere.listing import first_values
from atdata_atmosphere.lookup import is_of, versions_of
from atdata_atmosphere.records.collections import SCHEMA, expect_kind
from atdata_atmosphere.records.schemas import record_to_schema, schema_to_record

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.repository import RepoRecord
    from atdata_atmosphere.uri import AtUri

FIRST_VERSION = "1.0.0"


class SchemaPublisher:
    """Publishes the schemas of sample types to the repository of a client's account."""

    def __init__(self, client: AtmosphereClient) -> None:
        self._client = client

    def publish(
        self,
        sample_type: type,
        *,
        name: str | None = None,
        version: str = "1.0.0",
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        rkey: str | None = None,
    ) -> AtUri:
        """Publish a sample type as a new record and return its URI.

        The record is public. ``name`` is an identifier, by default that of the class.

        Raises:
            TypeError: the class is no sample type, or has a field without a form on the network.
            ValueError: nobody is logged in, or name, version or metadata cannot be published.
        """
        schema = Schema.from_type(sample_type)
        named = Schema(name or schema.name, schema.fields)
        record = schema_to_record(named, version, description=description, metadata=metadata)
        return self._client.create_record(SCHEMA, record, rkey=rkey)


class SchemaLoader:
    """Finds schema records, of any generation and in anybody's repository."""

    def __init__(self, client: AtmosphereClient) -> None:
        self._client = client

    def get(self, uri: str | AtUri) -> dict[str, Any]:
        """Return a schema record; ``ValueError`` if the record is none."""
        return expect_kind(self._client.get_record(uri), "schema", uri)

    def list_all(self, repo: str | None = None, limit: int = 100) -> builtins.list[dict[str, Any]]:
        """Return up to ``limit`` schema records of a repository, by default the client's own."""
        return first_values(self._client, "schema", repo, limit)

    def list(self, repo: str | None = None, limit: int = 100) -> builtins.list[dict[str, Any]]:
        """Return the same as ``list_all``."""
        return self.list_all(repo, limit)


def publish_version(
    client: AtmosphereClient,
    schema: Schema,
    version: str | None = None,
    *,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Publish a schema unless it is published already, and return its AT URI.

    Without a version that is the newest with these fields, or the next patch version.
    ``ConflictError`` if the version is published with other fields.
    """
    published = versions_of(client, schema.name)
    if version is None:
        if same := [one for one in published if is_of(one, schema)]:
            return str(same[-1].uri)
        version = bump_patch(published[-1].value["version"]) if published else FIRST_VERSION
    record = schema_to_record(schema, version, description=description, metadata=metadata)
    of_version = [one for one in published if one.value["version"] == version]
    if same := [one for one in of_version if is_of(one, schema)]:
        return str(same[-1].uri)
    if of_version:
        raise _conflict(of_version[-1], schema)
    return str(client.create_record(SCHEMA, record))


def _conflict(found: RepoRecord, schema: Schema) -> ConflictError:
    try:
        difference = record_to_schema(found.value, found.uri).difference(schema)
    except SchemaError as error:
        difference = str(error)
    return ConflictError(
        f"schema {schema.name}@{found.value['version']} is published with other fields "
        f"({difference}); publish a new version",
        ref=str(found.uri),
    )
