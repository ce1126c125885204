"""A dataset with its samples, published so that doing it again after a crash does it once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from atdata.errors import NotFoundError
from atdata.stores import ShardInfo
from atdata_atmosphere.records.blob_refs import BlobRef, parse_url
from atdata_atmosphere.records.collections import DATASET
from atdata_atmosphere.records.datasets import Description, dataset_to_record
from atdata_atmosphere.records.shard_facts import ShardFacts
from atdata_atmosphere.records.storage import blob_storage
from atdata_atmosphere.syntax import new_tid

if TYPE_CHECKING:
    from atdata.dataset import Dataset
    from atdata_atmosphere.blobs import PDSBlobStore
    from atdata_atmosphere.uri import AtUri

# A record takes a megabyte, and 250 bytes for each shard.
MAX_SHARDS = 3500


def publish_in_blobs(
    store: PDSBlobStore,
    name: str,
    schema_uri: str,
    splits: Mapping[str, Dataset[Any]],
    said: Description,
    options: Mapping[str, Any],
) -> AtUri:
    """Upload the samples of splits and publish one record that refers to them.

    The key of the record is chosen, and noted, before it is sent. So whoever is killed and begins
    again uploads what is missing, and makes the record that was meant, once.
    """
    shards = _upload(store, splits, name, options)
    try:
        return _publish(store, name, schema_uri, said, shards)
    except NotFoundError:
        # The server has forgotten blobs that were uploaded long ago and noted here.
        store.journal.forget(_cids(shards))
    shards = _upload(store, splits, name, options)
    return _publish(store, name, schema_uri, said, shards)


def _upload(
    store: PDSBlobStore,
    splits: Mapping[str, Dataset[Any]],
    name: str,
    options: Mapping[str, Any],
) -> list[ShardInfo]:
    given = {"prefix": name, **options}
    shards: list[ShardInfo] = []
    for split, ds in splits.items():
        room = MAX_SHARDS - len(shards)
        shards += store.write_samples(ds, split=split or None, at_most=room, **given)
    return shards


def _publish(
    store: PDSBlobStore,
    name: str,
    schema_uri: str,
    said: Description,
    shards: Sequence[ShardInfo],
) -> AtUri:
    blobs = [
        BlobRef(cid, shard.bytes).to_record()
        for cid, shard in zip(_cids(shards), shards, strict=True)
    ]
    facts = [ShardFacts(one.count, one.bytes, one.sha256, one.split) for one in shards]
    record = dataset_to_record(name, schema_uri, blob_storage(blobs), said, facts)
    content = _content(record)
    journal = store.journal
    rkey = journal.plan(content, new_tid())
    uri = store.client.put_record(DATASET, rkey, record)
    journal.finish(content)
    journal.forget(_cids(shards))
    return uri


def _cids(shards: Sequence[ShardInfo]) -> list[str]:
    return [parse_url(shard.url)[1] for shard in shards]


def _content(record: Mapping[str, Any]) -> str:
    """Return what tells a record from others but for the time it was made."""
    said = {key: value for key, value in record.items() if key != "createdAt"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
