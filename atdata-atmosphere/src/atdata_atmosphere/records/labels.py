"""Label records: names that publishers give to versions of their datasets. They are only read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from atdata_atmosphere.records.bounds import Reader
from atdata_atmosphere.records.collections import expect_kind


@dataclass(frozen=True)
class Label:
    """A name, the dataset record it stands for, and the version it is called."""

    name: str
    dataset_uri: str
    version: str | None
    created_at: str


def read_label(record: Any, uri: object = None) -> Label:
    """Read a label record; ``CorruptDataError`` names the field that cannot be understood."""
    reader = Reader(expect_kind(record, "label", uri), str(uri or "record"))
    return Label(
        reader.text("name"),
        reader.text("datasetUri"),
        reader.optional_text("version"),
        reader.optional_text("createdAt") or "",
    )


def choose_label(labels: Iterable[Label], name: str, version: str | None = None) -> Label | None:
    """Return the newest label of a name, and of a version if one is given."""
    fitting = [
        label
        for label in labels
        if label.name == name and (version is None or label.version == version)
    ]
    return max(fitting, key=lambda label: label.created_at, default=None)
