"""Schemas that later releases write as JSON Schema, read as the field lists of our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from atdata.errors import SchemaError

MAX_VERSION = 1
_MAX_DEPTH = 16
_VERSION_KEYS = ("$atdataSchemaVersion", "atdataSchemaVersion")

_PRIMITIVES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
# What a $ref may mention, in the order in which it is looked for. What is no plain array is given
# out as the bytes it is stored in.
_ARRAYS = {"ndarray": "ndarray", "sparse": "bytes", "structured": "ndarray"}
_FORMATS = {**_ARRAYS, **dict.fromkeys(("safetensors", "arrow", "tensor", "dataframe"), "bytes")}


def to_fields(record: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the fields of a schema record in JSON-Schema form, as the field-list form has them.

    ``SchemaError`` if the form is newer than this release knows, or a property is of no known type.
    """
    _check_version(record, where)
    body = record.get("schema")
    nested = body.get("schemaBody") if isinstance(body, Mapping) else None
    body = nested if isinstance(nested, Mapping) else body
    properties = body.get("properties") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(properties, Mapping):
        raise SchemaError(f"{where} has neither fields nor a schema with properties", where=where)
    required = body.get("required", [])
    if not isinstance(required, list):
        raise SchemaError(f"{where}.schema.required is no list", where=where)
    return [
        {
            "name": name,
            "fieldType": _to_type(value, f"{where}.schema.properties[{name!r:.80}]"),
            "optional": name not in required,
        }
        for name, value in _in_order(properties, required)
    ]


def _in_order(properties: Mapping[str, Any], required: list[Any]) -> Iterable[tuple[str, Any]]:
    """Return properties in the order of the class they were written from, as far as that is known.

    A repository keeps maps in an order of its own; the list of required names keeps the writer's.
    """
    names = list(properties)
    if names != sorted(names, key=lambda name: (len(name.encode()), name.encode())):
        return properties.items()
    first = [name for name in dict.fromkeys(map(str, required)) if name in properties]
    return [(name, properties[name]) for name in dict.fromkeys([*first, *names])]


def _check_version(record: Mapping[str, Any], where: str) -> None:
    for key in _VERSION_KEYS:
        version = record.get(key, MAX_VERSION)
        if type(version) is not int or not 1 <= version <= MAX_VERSION:
            raise SchemaError(
                f"{where}.{key} is {version!r:.40}; this release reads {MAX_VERSION}, "
                "a newer atdata may read it",
                where=where,
            )


def _to_type(value: Any, where: str, depth: int = 0) -> dict[str, Any]:
    if not isinstance(value, Mapping) or depth > _MAX_DEPTH:
        raise SchemaError(f"{where} is not a map of at most {_MAX_DEPTH} levels", where=where)
    kind, reference = value.get("type"), value.get("$ref")
    if isinstance(reference, str):
        return _to_array(reference.lower(), where)
    if kind == "array":
        # A list of anything was written as one of strings.
        items = value.get("items", {"type": "string"})
        return {"kind": "array", "items": _to_type(items, f"{where}.items", depth + 1)}
    if kind == "string" and _is_binary(value):
        return {"kind": "primitive", "primitive": "bytes"}
    if isinstance(kind, str) and kind in _PRIMITIVES:
        return {"kind": "primitive", "primitive": _PRIMITIVES[kind]}
    raise SchemaError(f"{where} is of no type that samples have: {kind!r:.80}", where=where)


def _to_array(reference: str, where: str) -> dict[str, Any]:
    kind = next((kind for mentioned, kind in _FORMATS.items() if mentioned in reference), None)
    if kind is None:
        raise SchemaError(f"{where} refers to an unknown format, {reference!r:.120}", where=where)
    return {"kind": kind} if kind == "ndarray" else {"kind": "primitive", "primitive": kind}


def _is_binary(value: Mapping[str, Any]) -> bool:
    return value.get("format") == "byte" or value.get("contentEncoding") == "base64"
