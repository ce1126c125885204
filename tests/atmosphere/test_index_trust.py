"""Records of strangers: what they name is not opened, run or connected to unless it is public."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tests.atmosphere.places import Feature, features, shard_of, somebody, write_at_once
from tests.services.fault_proxy import FaultProxy, answer
from tests.services.pds_server import PdsServer
from tests.web_server import serving

import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, DatasetLoader
from atdata.errors import (
    AtdataError,
    CorruptDataError,
    LimitExceededError,
    NotFoundError,
    UntrustedInputError,
)
from atdata.trust import Policy, to_web
from atdata_atmosphere.entry import AtmosphereIndexEntry
from atdata_atmosphere.listing import iterate_collection
from atdata_atmosphere.network import Network
from atdata_atmosphere.sources import NetworkSource

RECORD = "ac.foundation.dataset.record"


@pytest.fixture(scope="module")
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    with somebody(pds_server, "eve") as client:
        yield client


HOSTILE = [
    *("pipe:touch canary", "PIPE:touch canary", " pipe:touch canary", "%70ipe:touch canary"),
    *("file:///etc/passwd", "FILE:///etc/passwd", "/etc/passwd", "etc/passwd", "-", "~/.ssh/id"),
    *("http://example.org/x.tar", "ftp://example.org/x", "sftp://example.org/x", "gs://b/x"),
    *("scp://h/x", "hf://d/x", "htgs://x", "ais://x", "data:text/plain,x", "memory://x"),
    *("github://a:b@/x", "\thttps://example.org/x", "https://example.org/\nx", "ht\ttps://e.org/x"),
    *("https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x", "https://localhost./x"),
    *("https://169.254.169.254/latest", "https://10.0.0.1/x", "https://192.168.1.1/x"),
    *("https://[::ffff:127.0.0.1]/x", "https://me:pw@example.org/x", "https://ex%61mple.org/x"),
    *("https://{a,127.0.0.1}/x.tar", "https://\\example.org/x", "s3://../x", "s3://b", "s3:///x"),
    *("at://did:plc:abc/blob/x", "at://did:plc:abc/a.b.c/x", "https:///x", "https://"),
    "zip://x.tar::file:///etc/passwd",
    "simplecache::file:///etc/passwd",
]


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_x2_what_a_stranger_may_not_name_is_refused_before_anything_is_opened(url: str) -> None:
    urls = ["https://example.org/0.tar", url]
    # Modules are imported now, which opens files.
    with pytest.raises(AtdataError):
        NetworkSource(urls, network=Network())
    events: list[str] = []
    watching = True

    def watch(event: str, arguments: Any) -> None:
        if watching and event in {"socket.connect", "subprocess.Popen", "os.system", "open"}:
            events.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(watch)
    try:
        with pytest.raises(AtdataError) as caught:
            NetworkSource(urls, network=Network())
    finally:
        watching = False
    assert isinstance(caught.value, ValueError)
    assert events == []


def test_x1_a_record_with_a_command_names_the_scheme_and_runs_nothing(
    client: AtmosphereClient, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = AtmosphereIndex(client)
    storage = {
        "$type": "ac.foundation.dataset.storageExternal",
        "urls": ["pipe:touch canary"],
    }
    uri = client.create_record(
        RECORD,
        {
            "$type": RECORD,
            "name": "hostile",
            "schemaRef": index.publish_schema(Feature),
            "storage": storage,
            "createdAt": "2026-01-01T00:00:00Z",
        },
    )
    entry = index.get_dataset(uri)
    assert entry.data_urls == ["pipe:touch canary"]
    for load in (
        lambda: index.create_source(entry.data_urls),
        lambda: atdata.load_dataset(str(uri), index=index),
        lambda: DatasetLoader(client).to_dataset(uri, Feature),
    ):
        with pytest.raises(UntrustedInputError, match="pipe") as caught:
            load()
        assert caught.value.details["scheme"] == "pipe"
    assert not (tmp_path / "canary").exists()


def with_metadata_at(client: AtmosphereClient, url: str, **more: Any) -> str:
    record = {
        "$type": RECORD,
        "name": "described-elsewhere",
        "schemaRef": AtmosphereIndex(client).publish_schema(Feature),
        "storage": {
            "$type": "ac.foundation.dataset.storageExternal",
            "urls": ["https://example.org/x.tar"],
        },
        "metadataUrl": url,
        "createdAt": "2026-01-01T00:00:00Z",
        **more,
    }
    return str(client.create_record(RECORD, record))


def test_x2_metadata_of_a_stranger_is_fetched_only_from_where_shards_are(
    client: AtmosphereClient, tmp_path: Path
) -> None:
    (tmp_path / "meta").write_bytes(msgpack.packb({"lr": 0.5}))
    (tmp_path / "large").write_bytes(msgpack.packb(b"x" * (16 << 20)))
    with serving(tmp_path) as web:
        uri = with_metadata_at(client, f"{web.url}/meta")
        with pytest.raises(UntrustedInputError, match="http"):
            DatasetLoader(client).to_dataset(uri, Feature)
        assert web.requests == []
        trusting = DatasetLoader(client, allow=[f"{web.url}/"])
        dataset = trusting.to_dataset(uri, Feature)
        assert (dataset.metadata, dataset.metadata_url) == ({"lr": 0.5}, None)
        with pytest.raises(LimitExceededError, match="metadata"):
            trusting.to_dataset(with_metadata_at(client, f"{web.url}/large"), Feature)
    # {"k": 1} as msgpack.
    inline = with_metadata_at(client, "pipe:x", metadata={"$bytes": "gaFrAQ"})
    dataset = DatasetLoader(client).to_dataset(inline, Feature)
    assert (dataset.metadata, dataset.metadata_url) == ({"k": 1}, None)


def test_x3_the_patterns_of_one_record_are_limited_together() -> None:
    urls = [f"https://example.org/{n}-{{00000..59999}}.tar" for n in range(2)]
    with pytest.raises(LimitExceededError, match="100000"):
        NetworkSource(urls, network=Network())
    record = {
        "$type": RECORD,
        "name": "many",
        "schemaRef": "at://did:plc:abc/ac.foundation.dataset.sampleSchema/a",
        "storage": {"$type": "ac.foundation.dataset.storageExternal", "urls": urls},
        "createdAt": "2026-01-01T00:00:00Z",
    }
    uri = f"at://did:plc:abc/{RECORD}/a"
    assert AtmosphereIndexEntry(uri, record).shards is None
    facts = [{"samples": 1, "bytes": 1, "sha256": "0" * 64}]
    with pytest.raises(LimitExceededError, match="100000"):
        _ = AtmosphereIndexEntry(uri, {**record, "atdataShards": facts}).shards


def test_c5_a_strangers_bucket_is_read_without_keys() -> None:
    policy, trusting = Policy("network record"), Policy("network record", ("s3://my-bucket/",))
    assert policy.way_to("s3://my-bucket/a%20b.tar") == "bucket"
    assert to_web("s3://my-bucket/x/0.tar") == "https://my-bucket.s3.amazonaws.com/x/0.tar"
    assert to_web("s3://my.bucket/x/0.tar") == "https://s3.amazonaws.com/my.bucket/x/0.tar"
    assert trusting.way_to("s3://my-bucket/x") == "allowed"
    assert trusting.way_to("s3://my-bucket-2/x") == "bucket"


def test_d17_equally_named_schemas_of_two_publishers_are_two_types(
    client: AtmosphereClient, pds_server: PdsServer
) -> None:
    with somebody(pds_server) as other:
        mine = AtmosphereIndex(client).publish_schema(Feature, version="7.0.0")
        theirs = AtmosphereIndex(other).publish_schema(Feature, version="7.0.0")
        index = AtmosphereIndex(client)
        assert index.decode_schema(theirs) is not index.decode_schema(mine)
        assert index.decode_schema(mine) is index.decode_schema(mine)
        by_name = index.decode_schema(f"@{other.handle}/Feature@7.0.0")
        assert by_name is index.decode_schema(theirs)
        assert index.decode_schema(f"atdata://{other.did}/sampleSchema/Feature") is by_name


def test_n7_pages_that_never_end_are_an_error(proxy: FaultProxy, account: Any) -> None:
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    uri = f"at://{account.did}/{RECORD}/x"
    page = {"records": [{"uri": uri, "cid": "b", "value": {"$type": RECORD}}] * 100}
    for cursor in "abab":
        proxy.commit("listRecords", answer({**page, "cursor": cursor}))
    with pytest.raises(CorruptDataError, match="circles"):
        list(iterate_collection(client, RECORD, account.did))
    assert proxy.count("listRecords") == 3


@pytest.mark.parametrize("part", ["sha256", "size"])
def test_r6_a_shard_elsewhere_that_is_not_what_the_record_says_is_refused(
    client: AtmosphereClient, tmp_path: Any, part: str
) -> None:
    good = shard_of(features(6))
    path = tmp_path / "x.tar"
    path.write_bytes(good)
    storage = {
        "$type": "ac.foundation.dataset.storageHttp",
        "shards": [
            {
                "url": f"file://{path}",
                "checksum": {"algorithm": "sha256", "digest": hashlib.sha256(good).hexdigest()},
            }
        ],
    }
    index = AtmosphereIndex(client, allow=[f"file://{tmp_path}/"])
    record = {
        "$type": RECORD,
        "name": f"elsewhere-{part}",
        "schemaRef": index.publish_schema(Feature),
        "storage": storage,
        "createdAt": "2026-01-01T00:00:00Z",
    }
    uri = str(client.create_record(RECORD, record))
    assert len(list(atdata.load_dataset(uri, Feature, split="train", index=index))) == 6
    path.write_bytes(shard_of(features(6, size=17)) if part == "size" else good[:-1] + b"x")
    changed = atdata.load_dataset(uri, Feature, split="train", index=index)
    with pytest.raises(CorruptDataError, match="other bytes"):
        next(iter(changed))


def blob_record(namespace: str, collection: str, ref: dict[str, Any], schema: str) -> Any:
    return {
        "$type": f"{namespace}.{collection}",
        "name": f"{collection}-of-{namespace}",
        "schemaRef": schema,
        "storage": {
            "$type": f"{namespace}.storageBlobs",
            "blobs": [{"blob": ref, "checksum": {"algorithm": "none", "digest": ""}}],
        },
        "tags": [],
        "createdAt": "2026-01-01T00:00:00+00:00",
        "metadata": {"createdBy": "hand", "custom": {"k": 1}},
    }


@pytest.mark.parametrize(
    ("namespace", "collection"),
    [("ac.foundation.dataset", "record"), ("science.alt.dataset", "entry")],
    ids=["B", "C"],
)
def test_records_of_later_generations_load_by_name(
    client: AtmosphereClient, namespace: str, collection: str
) -> None:
    samples = features(8)
    schema = client.create_record(
        f"{namespace}.schema",
        {
            "$type": f"{namespace}.schema",
            "name": "Feature",
            "version": "9.0.0",
            "schemaType": "jsonSchema",
            "schema": {
                "$type": f"{namespace}.schema#jsonSchemaFormat",
                "type": "object",
                "properties": {
                    "values": {"$ref": "https://foundation.ac/schemas/atdata-ndarray-bytes/1.0.0"},
                    "label": {"type": "integer"},
                },
                "required": ["values", "label"],
            },
            "createdAt": "2026-01-01T00:00:00+00:00",
        },
    )
    ref = client.upload_blob(shard_of(samples), "application/x-tar")
    record = blob_record(namespace, collection, ref, str(schema))
    uri = client.create_record(f"{namespace}.{collection}", record)
    index = AtmosphereIndex(client)
    loaded = atdata.load_dataset(f"@{client.handle}/{record['name']}", index=index, split="train")
    assert [one.packed for one in loaded.as_type(Feature)] == [one.packed for one in samples]
    assert loaded.metadata == {"created_by": "hand", "k": 1}
    client.create_record(
        f"{namespace}.label",
        {
            "$type": f"{namespace}.label",
            "name": "best",
            "datasetUri": str(uri),
            "version": "v1",
            "createdAt": "2026-01-01T00:00:00+00:00",
        },
    )
    for label in ("best", "best@v1"):
        assert index.get_dataset(f"@{client.handle}/{label}").uri.startswith(f"at://{client.did}/")
    with pytest.raises(NotFoundError, match="best@v2"):
        index.get_dataset(f"@{client.handle}/best@v2")


def test_records_too_large_for_one_answer_are_listed_in_smaller_pages(
    pds_server: PdsServer,
) -> None:
    thing = "com.example.large"
    with somebody(pds_server) as client:
        for number in range(10):
            record = {"$type": thing, "n": number, "texts": ["x" * 9000] * 100}
            client.create_record(thing, record)
        found = [one.value["n"] for one in iterate_collection(client, thing, client.did)]
    assert found == list(range(9, -1, -1))


def test_a_large_repository_is_listed_page_by_page(
    pds_server: PdsServer, proxy: FaultProxy
) -> None:
    count = 1000
    with somebody(pds_server) as client:
        index = AtmosphereIndex(client)
        dataset = atdata.Dataset[Feature]("https://example.org/0.tar")
        record = client.get_record(index.insert_dataset(dataset, name="d").uri)
        client.delete_record(index.get_dataset("d").uri)
        write_at_once(client, [{**record, "name": f"d{number}"} for number in range(count)])
        through = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
        entries = AtmosphereIndex(through).iterate_datasets(client.did)
        assert [entry.name for entry in islice(entries, 3)] == [
            f"d{number}" for number in range(count - 1, count - 4, -1)
        ]
        asked = proxy.count("listRecords")
        assert asked == 1
        assert len(list(entries)) == count - 3
        assert proxy.count("listRecords") <= count // 100 + 4
