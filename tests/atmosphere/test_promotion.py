"""Promotion: what goes along, what is reused, and what is never published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from tests.atmosphere.places import Feature, features, shard_of, somebody
from tests.services.fault_proxy import FaultProxy
from tests.services.pds_server import PdsServer

import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, DatasetPublisher, PDSBlobStore
from atdata.errors import (
    ConflictError,
    FieldError,
    InvalidNameError,
    LimitExceededError,
    NotFoundError,
    SampleTypeError,
    UntrustedInputError,
)
from atdata.promote import promote_to_atmosphere
from atdata_atmosphere.records.blob_refs import blob_cid

PUBLIC = "https://example.org/data-{000000..000003}.tar"


@pytest.fixture(scope="module")
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    with somebody(pds_server) as client:
        yield client


@pytest.fixture
def local() -> Iterator[atdata.Index]:
    with atdata.Index() as index:
        yield index


def test_urls_and_metadata_are_kept(local: atdata.Index, client: AtmosphereClient) -> None:
    metadata = {"lr": 0.1, "description": "From the lab", "tags": ["a", "b"], "license": "MIT"}
    local.insert_dataset(atdata.Dataset[Feature](PUBLIC), name="kept", metadata=metadata)
    uri = local.promote("kept", client)
    entry = AtmosphereIndex(client).get_dataset(uri)
    assert (entry.name, entry.data_urls, entry.metadata) == ("kept", [PUBLIC], metadata)
    assert (entry.description, entry.tags, entry.license) == ("From the lab", ["a", "b"], "MIT")
    said = AtmosphereIndex(client).get_dataset(
        local.promote("kept", client, name="v2", description="x", tags=["c"], license="CC0-1.0")
    )
    assert (said.name, said.description, said.tags, said.license) == ("v2", "x", ["c"], "CC0-1.0")


def test_samples_are_copied_into_blobs_split_by_split(
    local: atdata.Index, client: AtmosphereClient
) -> None:
    samples = features(20)
    local.write({"train": samples[:15], "test": samples[15:]}, name="split", metadata={"a": 1})
    uri = local.promote("split", client, data_store=PDSBlobStore(client))
    index = AtmosphereIndex(client)
    loaded = atdata.load_dataset(uri, Feature, index=index)
    assert {name: len(ds) for name, ds in loaded.items()} == {"train": 15, "test": 5}
    assert [one.packed for one in loaded["test"]] == [one.packed for one in samples[15:]]
    entry = index.get_dataset(uri)
    assert entry.metadata == {"a": 1}
    assert entry.parsed.size["samples"] == 20


def test_a_schema_is_reused_where_it_really_matches(
    pds_server: PdsServer, local: atdata.Index
) -> None:
    with somebody(pds_server) as client:
        for name in ("one", "two"):
            local.insert_dataset(atdata.Dataset[Feature](PUBLIC), name=name)
        index = AtmosphereIndex(client)
        refs = {
            index.get_dataset(local.promote(name, client)).schema_ref for name in ("one", "two")
        }
        assert len(refs) == 1
        assert len(index.list_schemas()) == 1

        @atdata.packable
        class Other:
            label: int

        Other.__name__ = "Feature"
        with atdata.Index() as elsewhere:
            elsewhere.insert_dataset(atdata.Dataset[Other](PUBLIC), name="three")
            with pytest.raises(ConflictError, match="other fields"):
                elsewhere.promote("three", client)


SECRETS = [
    "/data/private/x.tar",
    "file:///data/x.tar",
    "x.tar",
    "http://example.org/x.tar",
    "https://localhost/x.tar",
    "https://10.0.0.1:9000/bucket/x.tar",
    "https://169.254.169.254/latest",
    "https://me:hunter2@example.org/x.tar",
    "https://b.s3.amazonaws.com/x.tar?X-Amz-Signature=hunter2&X-Amz-Expires=60",
    "https://storage.example.org/x.tar?token=hunter2",
    "https://x.blob.core.windows.net/c/x.tar?sig=hunter2",
    *(
        f"https://example.org/x.tar?{query}=hunter2"
        for query in ("jwt", "pwd", "sessionid", "session", "code", "a=1;sig", "a=1&%73ig")
    ),
    "https://example.org/x.tar#hunter2",
    *(
        f"https://{host}/x.tar"
        for host in ("nas", "nas.lan", "nas.corp", "nas.home", "nas.internal", "nas.local")
    ),
    *("https://nas.home.arpa/x.tar", "https://[5f00::1]/x.tar", "https://[3fff::1]/x.tar"),
    "gs://bucket/x.tar",
    "pipe:cat x.tar",
]


@pytest.mark.parametrize("url", SECRETS)
def test_c2_private_and_secret_addresses_are_never_published(
    url: str, local: atdata.Index, proxy: FaultProxy, session_text: str
) -> None:
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    ref = local.publish_schema(Feature)
    entry = atdata.LocalDatasetEntry("d", ref, [PUBLIC, url])
    with pytest.raises(UntrustedInputError, match="PDSBlobStore") as caught:
        promote_to_atmosphere(entry, local, client)
    assert "hunter2" not in f"{caught.value!r}{vars(caught.value)}{caught.value}"
    # Nothing was asked of any server before that.
    assert proxy.asked == []


def test_blobs_are_never_published_as_urls_that_keep_none_of_them(
    local: atdata.Index, client: AtmosphereClient
) -> None:
    url = f"at://{client.did}/blob/{blob_cid(bytes(32))}"
    ref = local.publish_schema(Feature)
    schema_uri = AtmosphereIndex(client).publish_schema(Feature)
    with pytest.raises(UntrustedInputError, match=r"publish_with_blobs.*PDSBlobStore"):
        promote_to_atmosphere(atdata.LocalDatasetEntry("d", ref, [url]), local, client)
    with pytest.raises(UntrustedInputError, match="drop blobs"):
        DatasetPublisher(client).publish_with_urls([url], schema_uri, name="d")


def test_what_the_user_allows_is_published(local: atdata.Index, client: AtmosphereClient) -> None:
    url = "http://10.1.2.3/team/x.tar"
    entry = atdata.LocalDatasetEntry("d", local.publish_schema(Feature), [url])
    uri = promote_to_atmosphere(entry, local, client, allow=["http://10.1.2.3/team/"])
    assert AtmosphereIndex(client).get_dataset(uri).data_urls == [url]
    other = atdata.LocalDatasetEntry("d", entry.schema_ref, ["http://10.1.2.3/team/../x.tar"])
    with pytest.raises(UntrustedInputError):
        promote_to_atmosphere(other, local, client, allow=["http://10.1.2.3/team/"])
    with pytest.raises(ValueError, match="ends in '/'"):
        promote_to_atmosphere(entry, local, client, allow=["http://10.1.2.3"])


def test_an_entry_without_schema_or_urls_is_refused(
    local: atdata.Index, client: AtmosphereClient
) -> None:
    ref = "atdata://local/sampleSchema/Nothing@1.0.0"
    with pytest.raises(NotFoundError, match="Nothing"):
        promote_to_atmosphere(atdata.LocalDatasetEntry("d", ref, [PUBLIC]), local, client)
    with pytest.raises(FieldError, match="no shards"):
        promote_to_atmosphere(atdata.LocalDatasetEntry("d", ref, []), local, client)


def test_a_dict_field_stops_a_promotion_before_anything_is_uploaded(
    local: atdata.Index, client: AtmosphereClient
) -> None:
    @atdata.packable
    class Loose:
        values: NDArray[Any]
        rest: dict  # type: ignore[type-arg]

    local.insert_dataset(atdata.Dataset[Loose](PUBLIC), name="loose")
    with pytest.raises(SampleTypeError, match=r"Loose\.rest is a dict"):
        local.promote("loose", client)


def test_a_local_file_is_published_only_with_its_samples(
    tmp_path: Path, client: AtmosphereClient
) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(shard_of(features(5)))
    dataset = atdata.Dataset[Feature](str(path))
    with pytest.raises(UntrustedInputError, match="file of this machine"):
        AtmosphereIndex(client).insert_dataset(dataset, name="x")
    index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
    entry = index.insert_dataset(dataset, name="x", license="MIT")
    assert entry.license == "MIT"
    with pytest.raises(SampleTypeError, match="other samples"):
        AtmosphereIndex(client).insert_dataset(dataset.take(2), name="x")


def test_no_schema_is_published_before_all_is_checked(
    local: atdata.Index, pds_server: PdsServer
) -> None:
    dataset = atdata.Dataset[Feature](PUBLIC)
    local.insert_dataset(dataset, name="d")
    with somebody(pds_server) as client:
        store = PDSBlobStore(client)
        publisher = DatasetPublisher(client)
        for refused in (
            lambda: local.promote("d", client, tags=["x"] * 31),
            lambda: local.promote("d", client, name="@x/y"),
            lambda: local.promote("d", client, data_store=store, name="@x/y"),
            lambda: local.promote("d", client, data_store=store, license="x" * 201),
            lambda: publisher.publish(dataset, name="d", description="x" * 5001),
        ):
            with pytest.raises((FieldError, InvalidNameError, LimitExceededError)):
                refused()
        assert AtmosphereIndex(client).list_schemas() == []
        for _ in range(2):
            publisher.publish(dataset, name="d")
        assert len(AtmosphereIndex(client).list_schemas()) == 1


def test_shards_whose_urls_are_no_pattern_are_published_one_by_one(
    client: AtmosphereClient,
) -> None:
    urls = ["https://example.org/a,b.tar", "https://example.org/c.tar"]
    entry = AtmosphereIndex(client).insert_dataset(
        atdata.Dataset[Feature](atdata.URLSource(urls)), name="commas"
    )
    assert entry.data_urls == urls
