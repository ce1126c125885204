"""Which collections hold which kind of record: those written, and those read besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from atdata.errors import CorruptDataError

Kind = Literal["schema", "dataset", "lens", "label"]

NAMESPACE = "ac.foundation.dataset"
# Releases from 0.6 on write here.
LATER_NAMESPACE = "science.alt.dataset"

# The first of each is written, all are listed.
COLLECTIONS: dict[Kind, tuple[str, ...]] = {
    "schema": (
        f"{NAMESPACE}.sampleSchema",
        f"{NAMESPACE}.schema",
        f"{LATER_NAMESPACE}.schema",
    ),
    "dataset": (
        f"{NAMESPACE}.record",
        f"{LATER_NAMESPACE}.entry",
        f"{NAMESPACE}.datasetIndex",
    ),
    "lens": (f"{NAMESPACE}.lens", f"{LATER_NAMESPACE}.lens"),
    "label": (f"{NAMESPACE}.label", f"{LATER_NAMESPACE}.label"),
}
SCHEMA, DATASET, LENS, LABEL = (collections[0] for collections in COLLECTIONS.values())

_KIND_OF_LAST_SEGMENT: dict[str, Kind] = {
    "sampleSchema": "schema",
    "schema": "schema",
    "record": "dataset",
    "entry": "dataset",
    "datasetIndex": "dataset",
    "lens": "lens",
    "label": "label",
}


def kind_of(collection: object) -> Kind | None:
    """Tell what a collection or ``$type`` holds by its last segment, None if nothing of ours."""
    if not isinstance(collection, str):
        return None
    return _KIND_OF_LAST_SEGMENT.get(collection.rpartition(".")[2])


def expect_kind(record: Any, kind: Kind, uri: object = None) -> dict[str, Any]:
    """Return a record that is of a kind; ``CorruptDataError`` if it is another or none."""
    if not isinstance(record, Mapping):
        raise CorruptDataError(f"{uri or 'a record'} is {type(record).__name__}, not a map")
    found = record.get("$type")
    if kind_of(found) != kind:
        raise CorruptDataError(
            f"{uri or 'the record'} is not a {kind} record: its $type is {found!r:.200}",
            uri=None if uri is None else str(uri),
            found=found,
        )
    return dict(record)
