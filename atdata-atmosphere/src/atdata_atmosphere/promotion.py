"""Promotion: a dataset of a local index, published for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from atdata.dataset.braces import expand_all
from atdata.dataset.loading import entry_datasets
from atdata.errors import FieldError
from atdata.index.names import check_dataset_name
from atdata.trust import check_allowed
from atdata_atmosphere.index import AtmosphereIndex
from atdata_atmosphere.lookup import versions_of
from atdata_atmosphere.records.collections import DATASET
from atdata_atmosphere.records.datasets import Description, check_described, dataset_to_record
from atdata_atmosphere.records.shard_facts import ShardFacts
from atdata_atmosphere.records.storage import external_storage
from atdata_atmosphere.schemas import publish_version
from atdata_atmosphere.trust import check_publishable

if TYPE_CHECKING:
    from atdata.dataset import Dataset
    from atdata.index import Index
    from atdata.protocols import AbstractDataStore, IndexEntry
    from atdata_atmosphere.client import AtmosphereClient


def promote_to_atmosphere(  # noqa: PLR0913 -- documented so
    local_entry: IndexEntry,
    local_index: Index,
    atmosphere_client: AtmosphereClient,
    *,
    data_store: AbstractDataStore | None = None,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    license: str | None = None,  # noqa: A002 -- documented so
    allow: Sequence[str] = (),
) -> str:
    """Publish a dataset of a local index with its schema, and return the AT URI of its record.

    The shards stay where they are, which must be public, or are written to ``data_store``, which
    may be a ``PDSBlobStore``. Metadata goes along; what it calls description, tags or license is
    said of the dataset unless the arguments say otherwise. ``allow`` lists starts of URLs that may
    be published although not everybody can open them.

    Raises:
        InvalidNameError: the name cannot be referred to.
        NotFoundError: the index has no such schema.
        ValueError: the entry has no URLs.
        UntrustedInputError: a URL is a local path, private, or has a password or signature in it.
        ConflictError: the schema's version is published with other fields.
    """
    urls = list(local_entry.data_urls)
    if not urls:
        raise FieldError(
            f"dataset {local_entry.name!r} has no shards to publish", field="data_urls"
        )
    schema = local_index.get_schema_record(local_entry.schema_ref)
    said = _said(local_entry, description, tags, license)
    named = check_dataset_name(name or local_entry.name)
    # A schema stays once it is published, so that comes after everything is checked.
    if data_store is None:
        urls = [_public_url(local_index, url) for url in urls]
        check_publishable(urls, check_allowed(allow))
        check_described(named, said, urls)
    else:
        check_described(named, said)
    uri = publish_version(
        atmosphere_client,
        schema.schema,
        schema.version,
        description=schema.description,
        metadata=schema.metadata,
    )
    if data_store is not None:
        target = AtmosphereIndex(atmosphere_client, data_store=data_store, allow=allow)
        return _copy(_splits(local_entry, local_index), target, named, uri, said)
    record = dataset_to_record(named, uri, external_storage(urls), said, _facts(local_entry, urls))
    return str(atmosphere_client.create_record(DATASET, record))


def find_existing_schema(client: AtmosphereClient, name: str, version: str) -> str | None:
    """Return the AT URI of a schema in the client's own repository, None if there is none."""
    found = [one for one in versions_of(client, name) if one.value["version"] == version]
    return str(found[-1].uri) if found else None


def _copy(
    splits: dict[str, Dataset[Any]], target: AtmosphereIndex, name: str, uri: str, said: Description
) -> str:
    entry = target.insert_dataset(
        splits,
        name=name,
        schema_ref=uri,
        description=said.description,
        tags=said.tags,
        license=said.license,
        metadata=said.metadata or {},
    )
    return entry.uri


def _splits(entry: IndexEntry, index: Index) -> dict[str, Dataset[Any]]:
    """Return the datasets of an entry by split; one that has none is called nothing."""
    shards: Any = getattr(entry, "shards", None) or ()
    splits = entry_datasets(entry, index)
    if len(splits) > 1 or any(shard.split for shard in shards):
        return splits
    [only] = splits.values()
    return {"": only}


def _public_url(index: Index, url: str) -> str:
    """Return a shard's URL as others can open it: at the endpoint of a store that has its own."""
    return url if index.data_store is None else index.data_store.read_url(url)


def _said(
    entry: IndexEntry,
    description: str | None,
    tags: Sequence[str] | None,
    license: str | None,  # noqa: A002 -- as in the record
) -> Description:
    known = entry.metadata or {}
    own = {key: known[key] for key in ("description", "license") if isinstance(known.get(key), str)}
    own_tags = known.get("tags")
    if not isinstance(own_tags, list) or not all(isinstance(tag, str) for tag in own_tags):
        own_tags = None
    return Description(
        own.get("description") if description is None else description,
        own_tags if tags is None else tags,
        own.get("license") if license is None else license,
        entry.metadata,
    )


def _facts(entry: IndexEntry, urls: Sequence[str]) -> list[ShardFacts] | None:
    """Return what is known of each shard, if that is known of all."""
    shards: Any = getattr(entry, "shards", None) or ()
    if not shards or len(shards) != len(expand_all(urls)):
        return None
    return [ShardFacts(one.count, one.bytes, one.sha256, one.split) for one in shards]
