"""A mirror of what others publish, in an index of one's own that is searched offline.

It holds what records say, not the shards: a mirrored entry's only URL is that of its record, which
``load_dataset`` opens by the rules for records of strangers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from atdata.dataset import Dataset
from atdata.dataset.url import ShardSource
from atdata.errors import (
    AtdataError,
    IndexCorruptError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)
from atdata.index.names import check_dataset_name
from atdata.samples import DictSample
from atdata_atmosphere.discovery import (
    MAX_RECORDS,
    MAX_REPOS,
    RELAY,
    Publisher,
    datasets_of,
    publishers,
)
from atdata_atmosphere.network import Network
from atdata_atmosphere.records.schemas import record_to_schema

if TYPE_CHECKING:
    from atdata.index import Index, LocalDatasetEntry
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.entry import AtmosphereIndexEntry

# What the mirror knows of a dataset, in the metadata of its entry.
KEY = "atmosphere"


@dataclass
class MirrorReport:
    """What came of mirroring: how many datasets are new, how many were known, what failed.

    ``is_complete`` tells whether nobody is left to follow; ``position`` is where to go on if not.
    """

    added: int = 0
    known: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    position: str | None = None
    is_complete: bool = False


def mirror(  # noqa: PLR0913 -- each bounds or names what is followed
    index: Index,
    client: AtmosphereClient | None = None,
    *,
    repos: Sequence[str] | None = None,
    relay: str = RELAY,
    after: str | None = None,
    max_repos: int = MAX_REPOS,
    max_records: int = MAX_RECORDS,
    progress: Callable[[MirrorReport], object] | None = None,
) -> MirrorReport:
    """Follow the network, or the repositories of some DIDs and handles, into a local index.

    Datasets are called ``publisher/name`` there. What is known already is left as it is, and what
    changed is a new revision, so mirroring again brings the index up to date.
    """
    known = client or Network.from_environment().client()
    report = MirrorReport(position=after)
    followed: Iterator[Publisher] = (
        publishers(known, relay=relay, after=after, max_repos=max_repos + 1)
        if repos is None
        else _named(known, repos, report)
    )
    schemas: dict[str, dict[str, str] | None] = {}
    for number, publisher in enumerate(followed):
        if repos is None and number == max_repos:
            return report
        entries = datasets_of(
            known,
            publisher.did,
            max_records,
            lambda did, error: report.failures.update({did: str(error)}),
        )
        handle = _handle_of(known, publisher.did) if entries else None
        # Oldest first: the newest of a name is its newest revision.
        for entry in sorted(entries, key=lambda one: (_created(one), one.uri)):
            _add(index, known, entry, handle, schemas, report)
        report.position = publisher.position
        if progress is not None:
            progress(report)
    report.is_complete = True
    return report


def search(
    index: Index,
    text: str | None = None,
    *,
    tag: str | None = None,
    field: str | None = None,
    publisher: str | None = None,
) -> Iterator[LocalDatasetEntry]:
    """Yield the mirrored datasets of an index that fit everything that is asked, offline.

    ``text`` is part of the name or description in any case, ``field`` the name of a field of the
    schema, ``publisher`` a DID or handle.
    """
    for entry in index.datasets:
        said = (entry.metadata or {}).get(KEY)
        # The metadata of other datasets may hold anything under this key.
        if not isinstance(said, dict) or entry.data_urls != [said.get("uri")]:
            continue
        named = f"{said.get('name')}\n{said.get('description') or ''}".lower()
        if (
            (text is None or text.lower() in named)
            and (tag is None or tag in (said.get("tags") or ()))
            and (field is None or field in (said.get("fields") or ()))
            and (publisher is None or publisher.removeprefix("@") in _names(said))
        ):
            yield entry


def _names(said: dict[str, Any]) -> tuple[Any, Any]:
    return said.get("publisher"), said.get("handle")


def _named(
    client: AtmosphereClient, repos: Sequence[str], report: MirrorReport
) -> Iterator[Publisher]:
    for repo in repos:
        try:
            did = client.resolve(repo).did
        except AtdataError as error:
            report.failures[repo] = str(error)
        else:
            yield Publisher(did, "")


class _Record(ShardSource):
    """Stands for the shards of a record, which are looked up when the record is opened."""

    def __init__(self, uri: str) -> None:
        self.url = uri

    def list_shards(self) -> list[str]:
        return [self.url]

    def open_shard(self, shard_id: str) -> IO[bytes]:
        raise NotFoundError(f"load_dataset({shard_id!r}) opens what is mirrored", ref=shard_id)


def _add(
    index: Index,
    client: AtmosphereClient,
    entry: AtmosphereIndexEntry,
    handle: str | None,
    schemas: dict[str, dict[str, str] | None],
    report: MirrorReport,
) -> None:
    try:
        said = _said(client, entry, handle, schemas)
        name = _local_name(entry, handle)
        if _known(index, name, entry.uri) == said:
            report.known += 1
            return
        metadata = {**(entry.metadata or {}), KEY: said}
        dataset = Dataset(_Record(entry.uri), sample_type=DictSample)
        index.add_entry(
            dataset, name=name, schema_ref=entry.schema_ref, metadata=metadata, foreign=True
        )
    except (StorageError, IndexCorruptError):
        # The index fails, and would fail for all that follow.
        raise
    except AtdataError as error:
        report.failures[entry.uri] = str(error)
    else:
        report.added += 1


def _said(
    client: AtmosphereClient,
    entry: AtmosphereIndexEntry,
    handle: str | None,
    schemas: dict[str, dict[str, str] | None],
) -> dict[str, Any]:
    if entry.schema_ref not in schemas:
        schemas[entry.schema_ref] = _fields_of(client, entry.schema_ref)
    return {
        "uri": entry.uri,
        "publisher": entry.publisher,
        "handle": handle,
        "name": entry.name,
        "description": entry.description,
        "tags": entry.tags,
        "license": entry.license,
        "created_at": entry.created_at,
        "fields": schemas[entry.schema_ref],
        "samples": entry.parsed.size.get("samples"),
        "bytes": entry.parsed.size.get("bytes"),
        "urls": len(entry.data_urls),
    }


def _fields_of(client: AtmosphereClient, ref: str) -> dict[str, str] | None:
    """Return the types of a schema's fields by name; None if it cannot be had or understood."""
    try:
        schema = record_to_schema(client.get_record(ref), ref)
    except AtdataError:
        return None
    return {one.name: f"{one.type}{' | None' if one.optional else ''}" for one in schema.fields}


def _local_name(entry: AtmosphereIndexEntry, handle: str | None) -> str:
    publisher = handle or entry.publisher.replace(":", ".")
    # Strangers may call a dataset, and its record, anything.
    for name in (entry.name, entry.uri.rpartition("/")[2].replace(":", ".")):
        with suppress(InvalidNameError):
            return check_dataset_name(f"{publisher}/{name}")
    return f"r{hashlib.sha256(entry.uri.encode()).hexdigest()}"


def _known(index: Index, name: str, uri: str) -> Any:
    """Return what the mirror last held of a record, None if it holds nothing."""
    try:
        history = index.history(name)
    except NotFoundError:
        return None
    newest = next((one for one in history if one.data_urls == [uri]), None)
    return None if newest is None else (newest.metadata or {}).get(KEY)


def _handle_of(client: AtmosphereClient, did: str) -> str | None:
    try:
        return client.resolve(did).handle
    except AtdataError:
        return None


def _created(entry: AtmosphereIndexEntry) -> str:
    try:
        return entry.created_at
    except AtdataError:
        return ""
