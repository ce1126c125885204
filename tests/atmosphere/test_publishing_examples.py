"""The documented examples, run as they are written but for handles, passwords and addresses."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset as wds
from numpy.typing import NDArray
from tests.atmosphere.places import somebody, stranger
from tests.services.pds_server import PdsServer

import atdata
from atdata import BlobSource
from atdata.atmosphere import (
    AtmosphereClient,
    AtmosphereIndex,
    AtUri,
    DatasetLoader,
    DatasetPublisher,
    LensLoader,
    LensPublisher,
    PDSBlobStore,
    SchemaLoader,
    SchemaPublisher,
)
from atdata.dataset.braces import expand_braces
from atdata.lens import lens
from atdata.local import LocalIndex
from atdata.promote import _find_existing_schema, promote_to_atmosphere


@atdata.packable
class ImageSample:
    """A sample containing image data with metadata."""

    image: NDArray[Any]
    label: str
    confidence: float


@atdata.packable
class FeatureSample:
    features: NDArray[Any]
    label: int
    source: str


@pytest.fixture(scope="module")
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    with somebody(pds_server) as client:
        yield client


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    samples: list[Any] = [
        FeatureSample(
            features=np.random.default_rng(i).standard_normal(128).astype(np.float32),
            label=i % 10,
            source="synthetic",
        )
        for i in range(1000)
    ]
    with wds.writer.TarWriter("features.tar") as sink:
        for i, s in enumerate(samples):
            sink.write({**s.as_wds, "__key__": f"{i:06d}"})


def test_a_session_goes_on_in_another_client(pds_server: PdsServer) -> None:
    account = pds_server.new_account()
    client = stranger(pds_server)
    client.login(account.handle, account.password)
    session_string = client.export_session()
    new_client = stranger(pds_server)
    new_client.login_with_session(session_string)
    assert (new_client.did, new_client.handle) == (account.did, account.handle)


def test_the_complete_example_of_the_reference(client: AtmosphereClient, features: None) -> None:
    store = PDSBlobStore(client)
    index = AtmosphereIndex(client, data_store=store)
    schema_uri = index.publish_schema(
        FeatureSample,
        version="1.0.0",
        description="Feature vectors with labels",
    )
    dataset = atdata.Dataset[FeatureSample]("features.tar")
    entry = index.insert_dataset(
        dataset,
        name="synthetic-features-v1",
        schema_ref=schema_uri,
        tags=["features", "synthetic"],
    )
    assert entry.uri.startswith(f"at://{client.did}/ac.foundation.dataset.record/")
    assert entry.data_urls[0].startswith(f"at://{client.did}/blob/")
    for dataset_entry in index.list_datasets():
        sample_type: Any = index.decode_schema(dataset_entry.schema_ref)
        source = store.create_source(dataset_entry.data_urls)
        ds = atdata.Dataset[sample_type](source)
        for batch in ds.ordered(batch_size=32):
            assert batch.features.shape == (32, 128)
            break
    source = store.create_source(entry.data_urls)
    assert sum(len(b.label) for b in atdata.Dataset[FeatureSample](source).ordered(32)) == 1000


def test_the_lower_level_publishers_and_loaders(client: AtmosphereClient) -> None:
    schema_publisher = SchemaPublisher(client)
    schema_uri = schema_publisher.publish(
        ImageSample,
        name="ImageSample",
        version="1.0.0",
        description="Demo: Image sample with label and confidence",
        metadata={"source": "training"},
    )
    schemas = SchemaLoader(client).list_all(limit=10)
    assert ("ImageSample", "1.0.0") in {(one["name"], one["version"]) for one in schemas}
    assert SchemaLoader(client).get(schema_uri)["metadata"] == {"source": "training"}

    dataset_publisher = DatasetPublisher(client)
    dataset_uri = dataset_publisher.publish_with_urls(
        urls=["s3://example-bucket/demo-data-{000000..000009}.tar"],
        schema_uri=str(schema_uri),
        name="Demo Image Dataset",
        description="Example dataset demonstrating atmosphere publishing",
        tags=["demo", "images", "atdata"],
        license="MIT",
    )
    dataset_loader = DatasetLoader(client)
    datasets = dataset_loader.list_all(limit=10)
    assert any(
        one["name"] == "Demo Image Dataset"
        and one["schemaRef"] == str(schema_uri)
        and one["tags"] == ["demo", "images", "atdata"]
        for one in datasets
    )
    assert dataset_loader.get_storage_type(str(dataset_uri)) == "external"
    urls = dataset_loader.get_urls(dataset_uri)
    assert urls == ["s3://example-bucket/demo-data-{000000..000009}.tar"]
    with pytest.raises(ValueError, match="at URLs"):
        dataset_loader.get_blobs(dataset_uri)


def test_publishing_a_dataset_publishes_its_schema(client: AtmosphereClient) -> None:
    dataset = atdata.Dataset[ImageSample]("s3://bucket/data-{000000..000009}.tar")
    publisher = DatasetPublisher(client)
    uri = publisher.publish(
        dataset,
        name="My Training Data",
        description="Training data for my model",
        tags=["computer-vision", "training"],
    )
    record = DatasetLoader(client).get(uri)
    [pattern] = record["storage"]["urls"]
    assert expand_braces(pattern) == [f"s3://bucket/data-{n:06d}.tar" for n in range(10)]
    assert SchemaLoader(client).get(record["schemaRef"])["name"] == "ImageSample"
    with pytest.raises(ValueError, match="schema_uri"):
        publisher.publish(dataset, name="x", auto_publish_schema=False)


def test_blobs_published_by_hand_are_read_by_a_stranger(
    client: AtmosphereClient, pds_server: PdsServer
) -> None:
    schema_uri = AtmosphereIndex(client).publish_schema(FeatureSample, version="1.0.0")
    samples: list[Any] = [FeatureSample(np.ones(4) * n, n, "s") for n in range(20)]
    tar_buffer = io.BytesIO()
    with wds.writer.TarWriter(tar_buffer) as sink:
        for i, sample in enumerate(samples):
            sink.write({**sample.as_wds, "__key__": f"{i:06d}"})
    uri = DatasetPublisher(client).publish_with_blobs(
        blobs=[tar_buffer.getvalue()],
        schema_uri=schema_uri,
        name="small-dataset",
        description="Dataset stored in ATProto blobs",
        tags=["small", "demo"],
        metadata={"mean": 0.5},
    )
    loader = DatasetLoader(stranger(pds_server))
    assert loader.get_storage_type(uri) == "blobs"
    [url] = loader.get_blob_urls(uri)
    assert url.startswith(f"{pds_server.url}/xrpc/com.atproto.sync.getBlob?did={client.did}&cid=")
    assert loader.get_metadata(uri) == {"mean": 0.5}
    [blob] = loader.get_blobs(uri)
    assert blob["mimeType"] == "application/x-tar"
    dataset = loader.to_dataset(uri, FeatureSample)
    assert [sample.label for sample in dataset.ordered()] == list(range(20))
    source = BlobSource.from_refs(
        [{"did": client.did, "cid": blob["ref"]["$link"]}], pds_endpoint=pds_server.url
    )
    assert isinstance(source.list_shards()[0], str)


@lens
def simplify(src: ImageSample) -> FeatureSample:
    return FeatureSample(features=src.image, label=0, source=src.label)


@simplify.putter
def simplify_back(view: FeatureSample, src: ImageSample) -> ImageSample:
    return ImageSample(image=view.features, label=view.source, confidence=src.confidence)


def test_lenses_are_published_in_both_spellings(client: AtmosphereClient) -> None:
    full = SchemaPublisher(client).publish(ImageSample, version="3.0.0")
    simple = SchemaPublisher(client).publish(FeatureSample, version="3.0.0")
    publisher, loader = LensPublisher(client), LensLoader(client)
    code = {"repository": "https://github.com/org/repo", "commit": "abc123def"}
    one = publisher.publish(
        name="simplify",
        source_schema=full,
        target_schema=simple,
        description="Extract label only",
        getter_code={**code, "path": "transforms/simplify.py:simplify_getter"},
        putter_code={**code, "path": "transforms/simplify.py:simplify_putter"},
    )
    other = publisher.publish(
        name="simplify",
        source_schema_uri=str(full),
        target_schema_uri=str(simple),
        description="Extract label only",
        code_repository="https://github.com/org/repo",
        code_commit="abc123def",
        getter_path="transforms/simplify.py:simplify_getter",
        putter_path="transforms/simplify.py:simplify_putter",
    )
    records = [
        {key: value for key, value in loader.get(uri).items() if key != "createdAt"}
        for uri in (one, other)
    ]
    assert records[0] == records[1]
    assert len(loader.find_by_schemas(str(full), str(simple))) == 2
    assert loader.find_by_schemas(str(simple)) == []
    assert {found["name"] for found in loader.list_all()} == {"simplify"}


def test_a_lens_of_a_program_names_its_functions(client: AtmosphereClient) -> None:
    publisher, loader = LensPublisher(client), LensLoader(client)
    schemas = ("at://did:plc:abc/ac.foundation.dataset.sampleSchema/a",) * 2
    bare = loader.get(
        publisher.publish_from_lens(simplify, source_schema=schemas[0], target_schema=schemas[1])
    )
    assert bare["name"] == "simplify"
    assert "getterCode" not in bare
    uri = publisher.publish_from_lens(
        simplify,
        name="s",
        source_schema_uri=schemas[0],
        target_schema_uri=schemas[1],
        code_repository="https://example.org/r",
        code_commit="abc",
    )
    record = loader.get(uri)
    assert record["getterCode"]["path"] == f"{__name__}:simplify"
    assert record["putterCode"]["path"] == f"{__name__}:simplify_back"
    for incomplete in ({"code_repository": "r"}, {"code_commit": "c", "getter_path": "m:f"}):
        with pytest.raises(ValueError, match="together"):
            publisher.publish("l", *schemas, **incomplete)


def test_uris_are_parsed_as_documented() -> None:
    uri = AtUri.parse("at://did:plc:abc123/ac.foundation.dataset.sampleSchema/xyz")
    assert (uri.authority, uri.rkey) == ("did:plc:abc123", "xyz")
    assert str(uri) == "at://did:plc:abc123/ac.foundation.dataset.sampleSchema/xyz"


def test_promotion_as_documented(client: AtmosphereClient, features: None) -> None:
    local_index = LocalIndex()
    local_index.publish_schema(FeatureSample, version="1.0.0")
    dataset = atdata.Dataset[FeatureSample]("features.tar")
    local_entry = local_index.insert_dataset(dataset, name="feature-vectors-v1")
    at_uri = promote_to_atmosphere(
        local_entry,
        local_index,
        client,
        data_store=PDSBlobStore(client),
        description="Feature vectors for classification",
        tags=["features", "embeddings"],
        license="MIT",
    )
    atm_index = AtmosphereIndex(client)
    entry = atm_index.get_dataset(at_uri)
    assert entry.name == "feature-vectors-v1"
    assert entry.schema_ref == _find_existing_schema(client, "FeatureSample", "1.0.0")
    sample_type: Any = atm_index.decode_schema(entry.schema_ref)
    ds = atdata.Dataset[sample_type](atm_index.create_source(entry.data_urls))
    for batch in ds.ordered(batch_size=32):
        assert batch.features.shape == (32, 128)
        break


def test_a_handle_and_a_name_are_all_that_others_need(
    client: AtmosphereClient,
    pds_server: PdsServer,
    features: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
    dataset = atdata.Dataset[FeatureSample]("features.tar")
    splits = {"train": dataset.take(30), "test": dataset.take(10)}
    entry = index.insert_dataset(splits, name="for-everybody", metadata={"by": "me"})
    monkeypatch.setenv("ATPROTO_BASE_URL", pds_server.url)
    monkeypatch.setenv("ATPROTO_PLC_URL", pds_server.plc_url)
    monkeypatch.setenv("ATDATA_ALLOW_PRIVATE", "1")
    for reference in (
        f"@{client.handle}/for-everybody",
        f"@{client.did}/for-everybody",
        f"@{client.handle}/for-everybody@1",
        f"@{client.handle}/for-everybody@{AtUri.parse(entry.uri).rkey}",
        f"atdata://{client.did}/dataset/for-everybody",
        entry.uri,
    ):
        loaded = atdata.load_dataset(reference)
        assert {name: len(list(ds)) for name, ds in loaded.items()} == {"train": 30, "test": 10}
    test = atdata.load_dataset(entry.uri, FeatureSample, split="test")
    assert [sample.label for sample in test] == list(range(10))
    assert test.metadata == {"by": "me"}
    assert len(test) == 10
