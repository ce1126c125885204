"""Schema records: written as field lists, read in that form and as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atdata.errors import SampleTypeError, SchemaError
from atdata.index.metadata import to_json_object
from atdata.index.names import check_class_name, check_version
from atdata.samples import Schema
from atdata.samples.fields import Dict, FieldType, List
from atdata_atmosphere.records.bounds import check_length, check_open_object, check_record
from atdata_atmosphere.records.clock import now
from atdata_atmosphere.records.collections import NAMESPACE, SCHEMA, expect_kind
from atdata_atmosphere.records.json_schemas import to_fields

_TYPES = f"{NAMESPACE}.schemaType"


def schema_to_record(
    schema: Schema,
    version: str,
    *,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a schema as a record of the field-list form.

    Raises:
        SampleTypeError: a field is a ``dict``, which has no form on the network.
        FieldError: the metadata holds what a record cannot, such as a float.
        LimitExceededError: something is longer than a record may have it.
    """
    for field in schema.fields:
        if _holds_dict(field.type):
            raise SampleTypeError(
                f"{schema.name}.{field.name} is a dict, which has no form on the network; "
                "make it fields of its own, or pack it into bytes",
                field=field.name,
            )
    record: dict[str, Any] = {
        "$type": SCHEMA,
        "name": check_class_name(schema.name),
        "version": check_version(version),
        "fields": schema.to_fields(_TYPES),
        "createdAt": now(),
    }
    if description:
        record["description"] = check_length(description, 5000, "the description of a schema")
    if metadata:
        record["metadata"] = to_json_object(metadata, schema.name)
        check_open_object(record["metadata"], f"the metadata of {schema.name}")
    # A schema that could not be read again is refused now.
    record_to_schema(record)
    check_record(record)
    return record


def record_to_schema(record: Any, uri: object = None) -> Schema:
    """Read a schema record of any generation; ``SchemaError`` names what cannot be understood."""
    known = expect_kind(record, "schema", uri)
    where = str(uri or f"schema {known.get('name')!r:.120}")
    if not isinstance(known.get("fields"), list):
        known["fields"] = to_fields(known, where)
    try:
        return Schema.from_record(known)
    except SchemaError as error:
        raise SchemaError(f"{where} cannot be used: {error}", uri=where) from error


def is_same_schema(record: Any, schema: Schema, version: str) -> bool:
    """Tell whether a record is of that name, version and fields; what cannot be read is not."""
    if not isinstance(record, Mapping) or record.get("version") != version:
        return False
    try:
        return record_to_schema(record) == schema
    except ValueError:
        return False


def _holds_dict(kind: FieldType) -> bool:
    return _holds_dict(kind.items) if isinstance(kind, List) else isinstance(kind, Dict)
