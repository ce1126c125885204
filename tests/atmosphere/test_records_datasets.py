"""Datasets, lenses and labels as records: written in one generation's form, read in all."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atdata.errors import (
    AtdataError,
    CorruptDataError,
    FieldError,
    InvalidNameError,
    LimitExceededError,
)
from atdata_atmosphere.records.blob_refs import BlobRef, blob_cid, parse_url
from atdata_atmosphere.records.datasets import (
    Description,
    dataset_to_record,
    read_dataset,
    rewritten,
)
from atdata_atmosphere.records.encodings import decode_metadata, encode_metadata
from atdata_atmosphere.records.labels import choose_label, read_label
from atdata_atmosphere.records.lenses import lens_to_record, read_lens
from atdata_atmosphere.records.shard_facts import ShardFacts
from atdata_atmosphere.records.storage import blob_storage, external_storage, read_storage

A = "ac.foundation.dataset"
C = "science.alt.dataset"
SCHEMA_REF = f"at://did:plc:abc/{A}.sampleSchema/3k"
PATTERN = "https://example.org/data-{000000..000009}.tar"
CID = blob_cid(bytes(range(32)))
BLOB = {
    "$type": "blob",
    "ref": {"$link": CID},
    "mimeType": "application/x-tar",
    "size": 10240,
}
FACTS = ShardFacts(10, 10240, bytes(range(32)).hex(), "train")


def written(**said: Any) -> dict[str, Any]:
    record = dataset_to_record("d", SCHEMA_REF, external_storage([PATTERN]), Description(**said))
    return {key: value for key, value in record.items() if key != "createdAt"}


def test_a_dataset_is_written_as_the_first_generation_wrote_it() -> None:
    metadata = {"lr": 0.5, "steps": [1, 2]}
    record = written(description="x", tags=["a", "b"], license="MIT", metadata=metadata)
    packed = record.pop("metadata")["$bytes"]
    assert msgpack.unpackb(base64.b64decode(packed + "==")) == metadata
    assert record == {
        "$type": "ac.foundation.dataset.record",
        "name": "d",
        "schemaRef": SCHEMA_REF,
        "storage": {"$type": "ac.foundation.dataset.storageExternal", "urls": [PATTERN]},
        "description": "x",
        "tags": ["a", "b"],
        "license": "MIT",
    }


def test_what_was_not_said_of_a_dataset_is_not_written() -> None:
    assert written(description="", tags=[]).keys() == {"$type", "name", "schemaRef", "storage"}


def test_blobs_are_written_bare() -> None:
    storage = blob_storage([BlobRef(CID, 10240).to_record()])
    assert storage == {"$type": "ac.foundation.dataset.storageBlobs", "blobs": [BLOB]}


def test_facts_about_shards_are_kept_beside_them() -> None:
    said = Description()
    record = dataset_to_record("d", SCHEMA_REF, blob_storage([BLOB]), said, [FACTS])
    assert record["size"] == {"samples": 10, "bytes": 10240, "shards": 1}
    read = read_dataset(json.loads(json.dumps(record)))
    assert read.facts == (FACTS,)
    assert read.size == record["size"]


def storage_of(kind: str, namespace: str = A, **rest: Any) -> dict[str, Any]:
    return {"$type": f"{namespace}.{kind}", **rest}


def checksum(algorithm: str, digest: str) -> dict[str, str]:
    return {"algorithm": algorithm, "digest": digest}


DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("storage", "urls", "sha256"),
    [
        (storage_of("storageExternal", urls=[PATTERN]), [PATTERN], [None]),
        (
            storage_of(
                "storageHttp",
                shards=[
                    {"url": "https://e.org/{a}.tar", "checksum": checksum("sha256", DIGEST)},
                    {"url": "https://e.org/b.tar", "checksum": checksum("none", "")},
                    {"url": "https://e.org/c.tar", "checksum": checksum("blake3", "00")},
                ],
            ),
            ["https://e.org/%7Ba%7D.tar", "https://e.org/b.tar", "https://e.org/c.tar"],
            [DIGEST, None, None],
        ),
        (
            storage_of(
                "storageS3",
                C,
                bucket="b",
                region="eu-west-1",
                shards=[{"key": "x/0.tar", "checksum": checksum("sha256", DIGEST)}],
            ),
            ["s3://b/x/0.tar"],
            [DIGEST],
        ),
        (
            storage_of(
                "storageS3",
                bucket="b",
                endpoint="https://s3.example.org/",
                shards=[{"key": "x y/0.tar", "checksum": checksum("none", "")}],
            ),
            ["https://s3.example.org/b/x%20y/0.tar"],
            [None],
        ),
        (
            storage_of("storageBlobs", blobs=[BLOB]),
            [f"at://did:plc:me/blob/{CID}"],
            [bytes(range(32)).hex()],
        ),
        (
            storage_of("storageBlobs", C, blobs=[{"blob": BLOB, "checksum": checksum("none", "")}]),
            [f"at://did:plc:me/blob/{CID}"],
            [bytes(range(32)).hex()],
        ),
        (
            {"$type": f"{A}.record#storageBlobs", "blobs": [{"cid": CID, "mimeType": "x/y"}]},
            [f"at://did:plc:me/blob/{CID}"],
            [bytes(range(32)).hex()],
        ),
    ],
    ids=["external", "http", "s3", "s3 elsewhere", "blobs", "blob entries", "old blobs"],
)
@pytest.mark.parametrize("collection", [f"{A}.record", f"{C}.entry", f"{A}.datasetIndex"])
def test_every_form_of_storage_is_read(
    collection: str, storage: dict[str, Any], urls: list[str], sha256: list[str | None]
) -> None:
    record = {"$type": collection, "name": "d", "schemaRef": SCHEMA_REF, "storage": storage}
    read = read_dataset(record).storage
    assert read.data_urls("did:plc:me") == urls
    assert list(read.sha256) == sha256
    assert read.kind == ("blobs" if "lobs" in storage["$type"] else "external")


def packed(value: Any) -> str:
    return base64.b64encode(msgpack.packb(value)).decode()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None),
        ({"$bytes": packed({"a": 0.5})}, {"a": 0.5}),
        ({"$bytes": packed({"a": 0.5}).rstrip("=")}, {"a": 0.5}),
        (msgpack.packb({"a": 1}), {"a": 1}),
        ({"$bytes": base64.b64encode(b'{"a": 1}').decode()}, {"a": 1}),
        ({"$bytes": base64.b64encode(b'{"a": 1%s}' % (b"0" * 20)).decode()}, {"a": 1e20}),
        ({"a": 1}, {"a": 1}),
        (
            {"sourceUri": "u", "createdBy": "me", "split": "train", "custom": {"a": [1]}},
            {"source_uri": "u", "created_by": "me", "split": "train", "a": [1]},
        ),
        ({"custom": "mine"}, {"custom": "mine"}),
    ],
)
def test_every_encoding_of_metadata_is_read(value: Any, read: dict[str, Any] | None) -> None:
    assert decode_metadata(value, "metadata") == read


texts = st.text(max_size=20).filter(lambda text: "\0" not in text)
metadata_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(texts, metadata_values, max_size=6))
def test_any_metadata_comes_back_as_it_was(metadata: dict[str, Any]) -> None:
    assert decode_metadata(encode_metadata(metadata, "d"), "metadata") == metadata


@pytest.mark.parametrize(
    "value",
    [
        {"$bytes": "!!!"},
        {"$bytes": 5},
        {"$bytes": base64.b64encode(b"\xc1").decode()},
        {"$bytes": packed([1])},
        {"$bytes": packed({1: 2})},
        {"$bytes": base64.b64encode(b"\xdf\xff\xff\xff\xff").decode()},
        {"$bytes": base64.b64encode(b"\x91" * 5000).decode()},
        {"$bytes": base64.b64encode(b'{"a":' + b"[" * 5000).decode()},
        "text",
        3,
    ],
)
def test_metadata_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(CorruptDataError, match="metadata"):
        decode_metadata(value, "metadata")


def test_metadata_too_large_for_a_record_is_refused() -> None:
    with pytest.raises(LimitExceededError, match="metadata"):
        encode_metadata({"a": "x" * 100_001}, "d")


def test_fields_we_do_not_know_survive_a_rewrite() -> None:
    record = {
        "$type": f"{C}.entry",
        "name": "d",
        "schemaRef": SCHEMA_REF,
        "storage": storage_of("storageBlobs", C, blobs=[{"blob": BLOB, "new": [1]}], later=True),
        "createdAt": "2026-01-01T00:00:00Z",
        "manifests": [{"header": BLOB}],
        "tags": ["old"],
    }
    changed = rewritten(record, Description(tags=["new"], license="MIT"))
    assert changed == {**record, "tags": ["new"], "license": "MIT"}
    assert read_dataset(changed).tags == ("new",)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x" * 5000}, "name"),
        ({"schemaRef": 3}, "schemaRef"),
        ({"storage": None}, "storage"),
        ({"storage": {"$type": f"{A}.storageElse"}}, "storage"),
        ({"storage": storage_of("storageExternal", urls=[])}, "urls"),
        ({"storage": storage_of("storageExternal", urls="https://x")}, "urls"),
        ({"storage": storage_of("storageExternal", urls=[1])}, "urls"),
        ({"storage": storage_of("storageExternal", urls=["a"] * 100_001)}, "urls"),
        ({"storage": storage_of("storageHttp", shards=[3])}, "shards"),
        ({"storage": storage_of("storageHttp", shards=[{"url": 1}])}, "url"),
        ({"storage": storage_of("storageS3", bucket="../x", shards=[])}, "bucket"),
        ({"storage": storage_of("storageBlobs", blobs=[{"ref": {"$link": "x"}}])}, "blobs"),
        ({"storage": storage_of("storageBlobs", blobs=[{**BLOB, "size": -1}])}, "size"),
        ({"storage": storage_of("storageBlobs", blobs=[{}])}, "blobs"),
        ({"tags": "a"}, "tags"),
        ({"tags": [{}]}, "tags"),
        ({"size": {"samples": "many"}}, "samples"),
        ({"atdataShards": [{"samples": 1}]}, "bytes"),
        ({"license": {}}, "license"),
    ],
)
def test_a_malformed_dataset_is_refused_and_the_field_named(
    change: dict[str, Any], field: str
) -> None:
    record = {**written(), **change}
    with pytest.raises(CorruptDataError, match=field):
        read_dataset(record)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: written(tags=["x"] * 31), FieldError),
        (lambda: written(tags="images"), FieldError),
        (lambda: written(tags=["x" * 151]), LimitExceededError),
        (lambda: written(license="x" * 201), LimitExceededError),
        (lambda: written(description="x" * 5001), LimitExceededError),
        (lambda: written(description=7), FieldError),
        (lambda: external_storage([]), FieldError),
        (lambda: external_storage(["x" * 1001]), LimitExceededError),
        (lambda: blob_storage([]), FieldError),
        (
            lambda: dataset_to_record("d", "local://x", external_storage(["a"]), Description()),
            InvalidNameError,
        ),
        (
            lambda: dataset_to_record("", SCHEMA_REF, external_storage(["a"]), Description()),
            FieldError,
        ),
        (
            lambda: dataset_to_record(
                "d", SCHEMA_REF, external_storage(["x" * 900] * 1200), Description()
            ),
            LimitExceededError,
        ),
    ],
    ids=map(str, range(12)),
)
def test_a9_what_a_record_may_not_hold_is_refused(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


loose = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.binary(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$type", "$bytes", "urls", "shards", "url", "blobs", "blob", "ref", "key"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = ["storageExternal", "storageHttp", "storageS3", "storageBlobs"]


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(["urls", "shards", "blobs", "bucket", "endpoint"]), loose),
    st.dictionaries(st.sampled_from(["tags", "metadata", "size", "atdataShards", "name"]), loose),
)
def test_whatever_a_dataset_record_holds_nothing_but_our_errors_come_of_it(
    kind: str, storage: dict[str, Any], rest: dict[str, Any]
) -> None:
    with suppress(AtdataError):
        read_dataset({**written(), "storage": storage_of(kind, **storage), **rest})


@given(st.lists(st.text("abc/{}.0123456789", min_size=1, max_size=30), min_size=1, max_size=5))
def test_any_urls_come_back_as_they_were(urls: list[str]) -> None:
    assert read_storage(json.loads(json.dumps(external_storage(urls))), "r").urls == tuple(urls)


@given(st.binary(min_size=32, max_size=32))
def test_a_blobs_cid_holds_its_digest(digest: bytes) -> None:
    ref = BlobRef.from_record(BlobRef(blob_cid(digest), 3).to_record(), "blob")
    assert ref.sha256 == digest.hex()
    assert parse_url(f"at://did:web:example.org/blob/{ref.cid}") == ("did:web:example.org", ref.cid)


@pytest.mark.parametrize(
    "url",
    [
        "at://did:plc:abc/blob/",
        "at://handle.example/blob/bafy",
        f"at://did:plc:abc/blob/{CID}/x",
        f"at://did:plc:abc/{A}.record/x",
        "https://example.org/x",
        # What a record's CID looks like, which is no blob's.
        "at://did:plc:abc/blob/bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
    ],
)
def test_what_is_not_the_url_of_a_blob_is_refused(url: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_url(url)


CODE = {"repository": "https://example.org/r", "commit": "abc", "path": "m:f"}


def test_a_lens_is_written_as_the_first_generation_wrote_it() -> None:
    record = lens_to_record("l", "at://a", "at://b", description="d", codes={"getterCode": CODE})
    del record["createdAt"]
    assert record == {
        "$type": "ac.foundation.dataset.lens",
        "name": "l",
        "sourceSchema": "at://a",
        "targetSchema": "at://b",
        "description": "d",
        "getterCode": CODE,
    }


@pytest.mark.parametrize("absent", CODE)
def test_an_incomplete_reference_to_code_is_refused(absent: str) -> None:
    code = {key: value for key, value in CODE.items() if key != absent}
    with pytest.raises(ValueError, match=absent):
        lens_to_record("l", "at://a", "at://b", codes={"getterCode": code})


@pytest.mark.parametrize("namespace", [A, C])
def test_lenses_of_every_generation_are_read(namespace: str) -> None:
    record = {
        "$type": f"{namespace}.lens",
        "name": "l",
        "sourceSchema": "at://a",
        "targetSchema": "at://b",
        "getterCode": {**CODE, "language": "python"},
        "sourceSchemaVersion": "^1.0.0",
    }
    assert read_lens(record) == record
    with pytest.raises(CorruptDataError, match="targetSchema"):
        read_lens({**record, "targetSchema": 1})


def label(version: str | None, created: str) -> dict[str, Any]:
    return {
        "$type": f"{C}.label",
        "name": "d",
        "datasetUri": f"at://did:plc:abc/{C}.entry/{created}",
        "version": version,
        "createdAt": created,
    }


def test_the_newest_label_of_a_name_is_the_one_that_counts() -> None:
    labels = [read_label(label(v, c)) for v, c in (("1", "2024"), ("2", "2026"), ("1", "2025"))]
    newest = choose_label(labels, "d")
    assert newest is not None
    assert newest.version == "2"
    of_version = choose_label(labels, "d", "1")
    assert of_version is not None
    assert of_version.created_at == "2025"
    assert choose_label(labels, "d", "3") is None
    with pytest.raises(CorruptDataError, match="datasetUri"):
        read_label({**label("1", "2024"), "datasetUri": None})
