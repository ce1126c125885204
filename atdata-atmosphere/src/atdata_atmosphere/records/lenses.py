"""Lens records: two schemas, and where the code that leads between them is to be found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atdata.errors import FieldError
from atdata_atmosphere.records.bounds import Reader, check_length, check_record
from atdata_atmosphere.records.clock import now
from atdata_atmosphere.records.collections import LENS, expect_kind

_REQUIRED = {"repository": 500, "commit": 40, "path": 500}
_OPTIONAL = {"branch": 100}


def lens_to_record(
    name: str,
    source_schema: str,
    target_schema: str,
    *,
    description: str | None = None,
    codes: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Describe a lens as a record; ``codes`` has code references by getterCode and putterCode."""
    record: dict[str, Any] = {
        "$type": LENS,
        "name": check_length(name, 100, "the name of a lens"),
        "sourceSchema": check_length(source_schema, 500, "the source schema of a lens"),
        "targetSchema": check_length(target_schema, 500, "the target schema of a lens"),
        "createdAt": now(),
    }
    if description:
        record["description"] = check_length(description, 1000, "the description of a lens")
    for key, code in (codes or {}).items():
        record[key] = code_reference(code, key)
    check_record(record)
    return record


def code_reference(code: Mapping[str, str], where: str) -> dict[str, str]:
    """Check a reference to code; ``FieldError`` says what is missing from it."""
    if absent := [key for key in _REQUIRED if not code.get(key)]:
        raise FieldError(
            f"{where} has no {' and no '.join(absent)}; name repository, commit and path, "
            "so that readers can find the very code",
            field=where,
        )
    limits = {**_REQUIRED, **_OPTIONAL}
    if unknown := code.keys() - limits:
        raise FieldError(f"{where} has the unknown {', '.join(sorted(unknown))}", field=where)
    return {key: check_length(text, limits[key], f"{where}.{key}") for key, text in code.items()}


def read_lens(record: Any, uri: object = None) -> dict[str, Any]:
    """Check a lens record of any generation and return it; its code is only ever referred to."""
    known = expect_kind(record, "lens", uri)
    reader = Reader(known, str(uri or "record"))
    for key in ("name", "sourceSchema", "targetSchema"):
        reader.text(key)
    for key in ("getterCode", "putterCode"):
        if known.get(key) is not None:
            reader.below(key)
    return known
