"""Datasets and schemas by the names that people give them, in one repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.errors import AtdataError, InvalidNameError, NotFoundError
from atdata.index.names import version_key
from atdata_atmosphere.listing import iterate_records
from atdata_atmosphere.records.labels import choose_label, read_label
from atdata_atmosphere.records.schemas import record_to_schema

if TYPE_CHECKING:
    from atdata.samples import Schema
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.repository import RepoRecord


def find_dataset(
    client: AtmosphereClient, repo: str, name: str, version: str | None = None
) -> RepoRecord:
    """Return the newest dataset record of a name.

    A version is what its publisher's label calls it, else a record key, else a number that counts
    the records of that name from 1, oldest first. Without any record of the name, its newest label
    leads to one.
    """
    named = [
        found
        for found in iterate_records(client, "dataset", repo)
        if found.value.get("name") == name
    ]
    named.sort(key=_age)
    if version is None and named:
        return named[-1]
    if labelled := _labelled(client, repo, name, version):
        return labelled
    if version is not None:
        if by_key := [found for found in named if found.uri.rkey == version]:
            return by_key[0]
        if version.isdecimal() and 0 < int(version) <= len(named):
            return named[int(version) - 1]
    shown = name if version is None else f"{name}@{version}"
    raise NotFoundError(
        f"{repo} has published no dataset {shown!r}; `atdata ls @{repo}` lists what there is",
        name=name,
        repo=repo,
    )


def find_schema(
    client: AtmosphereClient, repo: str, name: str, version: str | None = None
) -> RepoRecord:
    """Return a schema record by class name and version, without version the highest."""
    found = [
        one
        for one in versions_of(client, name, repo)
        if version is None or one.value["version"] == version
    ]
    if not found:
        shown = name if version is None else f"{name}@{version}"
        raise NotFoundError(f"{repo} has published no schema {shown!r}", name=name, repo=repo)
    return found[-1]


def versions_of(client: AtmosphereClient, name: str, repo: str | None = None) -> list[RepoRecord]:
    """Return the schema records of a class name, lowest version first; odd ones are left out."""
    found = []
    for one in iterate_records(client, "schema", repo):
        version = one.value.get("version")
        if one.value.get("name") == name and isinstance(version, str) and _is_version(version):
            found.append(one)
    # Of equal ones, the one that was published first is the one others refer to.
    found.sort(key=_age, reverse=True)
    return sorted(found, key=lambda one: version_key(one.value["version"]))


def is_of(found: RepoRecord, schema: Schema) -> bool:
    """Tell whether a record has the name and fields of a schema."""
    try:
        return record_to_schema(found.value) == schema
    except AtdataError:
        return False


def _labelled(
    client: AtmosphereClient, repo: str, name: str, version: str | None
) -> RepoRecord | None:
    """Return the record that the publisher's label of a name leads to."""
    labels = [
        read_label(found.value, found.uri)
        for found in iterate_records(client, "label", repo)
        if found.value.get("name") == name
    ]
    label = choose_label(labels, name, version)
    return None if label is None else client.read_record(label.dataset_uri)


def _age(found: RepoRecord) -> tuple[str, str]:
    return str(found.value.get("createdAt", "")), found.uri.rkey


def _is_version(version: str) -> bool:
    try:
        version_key(version)
    except InvalidNameError:
        return False
    return True
