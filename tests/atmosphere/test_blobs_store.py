"""Shards in blobs: as large as the server takes, uploaded once, checked before they are read."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.atmosphere.places import Feature, features, shard_of, somebody, stranger
from tests.peak_memory import forget_peak, peak_megabytes
from tests.services.fault_proxy import FaultProxy, answer, fault_proxy, other_bytes, status
from tests.services.pds_server import PdsServer

import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, BlobSource, PDSBlobStore
from atdata.errors import (
    AtdataError,
    CorruptDataError,
    EmptyDatasetError,
    InvalidNameError,
    LimitExceededError,
    ShardNotFoundError,
    UntrustedInputError,
)
from atdata.shards import ShardWriter
from atdata.stores import ShardInfo
from atdata_atmosphere.network import Network
from atdata_atmosphere.records.blob_refs import blob_cid, parse_url


@pytest.fixture(scope="module")
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    with somebody(pds_server) as client:
        yield client


@pytest.fixture
def proxied(proxy: FaultProxy, client: AtmosphereClient) -> AtmosphereClient:
    """Give a client like the other, all of whose requests pass through the proxy."""
    through = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    handle, did, *rest = client.export_session().split(":::")
    assert rest
    through.login_with_session(":::".join([handle, did, *rest[:-1], proxy.url]))
    return through


@pytest.fixture
def dataset(tmp_path: Path) -> atdata.Dataset[Feature]:
    path = tmp_path / "features.tar"
    path.write_bytes(shard_of(features(100, size=256)))
    return atdata.Dataset[Feature](str(path))


def test_shards_are_as_many_as_samples_need(
    client: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    told: list[ShardInfo] = []
    store = PDSBlobStore(client, progress=told.append)
    shards = store.write_samples(dataset, "p", maxcount=30)
    assert [shard.count for shard in shards] == [30, 30, 30, 10]
    assert told == shards
    by_size = store.write_samples(dataset, "p", maxsize=40_000)
    assert all(shard.bytes <= 40_000 for shard in by_size)
    assert sum(shard.count for shard in by_size) == 100
    assert by_size[0].url == f"at://{client.did}/blob/{blob_cid(bytes.fromhex(by_size[0].sha256))}"


def test_w6_no_samples_are_an_error(
    client: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    with pytest.raises(EmptyDatasetError):
        PDSBlobStore(client).write_shards(dataset.take(0), prefix="p")


@pytest.fixture
def strict_proxy(strict_server: PdsServer) -> Iterator[FaultProxy]:
    """Give a proxy before the server of small limits."""
    with fault_proxy(strict_server) as proxy:
        yield proxy


@pytest.mark.parametrize("says_so", [True, False], ids=["said", "unsaid"])
def test_a8_shards_are_as_large_as_the_server_takes(
    dataset: atdata.Dataset[Feature], strict_proxy: FaultProxy, *, says_so: bool
) -> None:
    limit, refused = strict_proxy.behind.blob_limit, 0 if says_so else 3
    if not says_so:
        strict_proxy.commit("describeServer", answer({"did": "did:web:localhost"}), times=99)
    there = replace(strict_proxy.behind, url=strict_proxy.url, plc_url=strict_proxy.url)
    with somebody(there) as client:
        index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
        entry = index.insert_dataset(dataset, name="d")
        assert entry.shards is not None
        assert strict_proxy.count("uploadBlob") == len(entry.shards) + refused
        least = 0.95 * limit if says_so else 0.45 * limit
        assert all(least < shard.bytes <= limit for shard in entry.shards[:-1])
        found = atdata.Dataset[Feature](index.create_source(entry.data_urls))
        assert [one.packed for one in found] == [one.packed for one in dataset]
        huge = [Feature(np.zeros(limit, np.float32), 1)]
        with pytest.raises(LimitExceededError, match="one sample"):
            PDSBlobStore(client).write_samples(huge, "p")
        assert strict_proxy.count("uploadBlob") == len(entry.shards) + (refused and refused + 1)


def test_what_was_uploaded_is_not_uploaded_again(
    proxy: FaultProxy, proxied: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    store = PDSBlobStore(proxied)
    first = store.write_shards(dataset, prefix="p", maxcount=25)
    assert proxy.count("uploadBlob") == 4
    assert store.write_shards(dataset, prefix="p", maxcount=25) == first
    assert proxy.count("uploadBlob") == 4


def test_blobs_that_the_server_forgot_are_uploaded_again(
    client: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    store = PDSBlobStore(client)
    other = dataset.map(lambda one: Feature(one.values + 1, one.label))
    # What the journal says of a blob that nobody has uploaded.
    digest = hashlib.sha256(shard_with_long_keys(list(other))).digest()
    store.journal.add(blob_cid(digest))
    index = AtmosphereIndex(client, data_store=store)
    entry = index.insert_dataset(other, name="forgotten")
    found = atdata.Dataset[Feature](index.create_source(entry.data_urls))
    assert [one.packed for one in found] == [one.packed for one in other]


def shard_with_long_keys(samples: list[Feature]) -> bytes:
    file = io.BytesIO()
    writer = ShardWriter(file)
    for number, one in enumerate(samples):
        writer.write(f"{number:09d}", one.packed)
    writer.finish()
    return file.getvalue()


CHILD = """
import sys
import atdata
from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, PDSBlobStore
from tests.atmosphere.places import Feature

url, session, path = sys.argv[1:]
client = AtmosphereClient(url, plc_url=url, allow_private=True)
client.login_with_session(session)
index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
index.insert_dataset(atdata.Dataset[Feature](path), name="killed", maxcount=10)
"""


@pytest.mark.parametrize("moment", ["uploadBlob", "putRecord"])
def test_a6_a_killed_upload_goes_on_where_it_stopped_and_makes_one_record(
    proxy: FaultProxy, proxied: AtmosphereClient, dataset: atdata.Dataset[Feature], moment: str
) -> None:
    index = AtmosphereIndex(proxied)
    before = [entry for entry in index.list_datasets() if entry.name == "killed"]
    own = dataset.map(lambda one: Feature(one.values, one.label + len(moment)))
    changed = Path(dataset.url).with_name(f"{moment}.tar")
    changed.write_bytes(shard_of(own))
    session = proxied.export_session()
    arguments = [sys.executable, "-c", CHILD, proxy.url, session, str(changed)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd()])}
    with subprocess.Popen(arguments, env=environment) as child:
        wanted = 4 if moment == "uploadBlob" else 1
        deadline = time.monotonic() + 60
        while proxy.count(moment) < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    uploaded = proxy.count("uploadBlob")
    subprocess.run(arguments, env=environment, check=True, timeout=120)
    # The one that was on its way is not known to have arrived.
    assert proxy.count("uploadBlob") <= 10 + 1
    assert proxy.count("uploadBlob") - uploaded <= 10 - (3 if moment == "uploadBlob" else 10)
    entries = [entry for entry in index.list_datasets() if entry.name == "killed"]
    [entry] = [entry for entry in entries if entry not in before]
    found = atdata.Dataset[Feature](index.create_source(entry.data_urls))
    assert [one.packed for one in found] == [one.packed for one in own]


def published(client: AtmosphereClient, dataset: atdata.Dataset[Feature]) -> list[str]:
    index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
    entry = index.insert_dataset(dataset, name="p", maxcount=50)
    return list(entry.data_urls)


def test_a1_other_bytes_than_the_cids_are_refused_before_the_first_sample(
    proxy: FaultProxy,
    proxied: AtmosphereClient,
    client: AtmosphereClient,
    dataset: atdata.Dataset[Feature],
) -> None:
    source = PDSBlobStore(proxied).create_source(published(client, dataset))
    source.pds_endpoint = proxy.url
    proxy.commit("getBlob", other_bytes)
    with pytest.raises(CorruptDataError, match="CID"):
        next(iter(atdata.Dataset[Feature](source)))
    assert len(list(atdata.Dataset[Feature](source))) == 100


def test_n4_a_redirect_to_a_private_address_is_not_followed(
    client: AtmosphereClient, dataset: atdata.Dataset[Feature], pds_server: PdsServer
) -> None:
    [url, _] = published(client, dataset)
    strict = Network(plc_url="https://plc.directory", allow_private=False)
    source = BlobSource.from_urls([url], network=strict)
    source.pds_endpoint = pds_server.url
    with pytest.raises(UntrustedInputError):
        source.open_shard(url)


def test_r10_one_blob_of_several_that_is_missing_is_an_error(
    client: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    urls = published(client, dataset)
    missing = f"at://{client.did}/blob/{blob_cid(bytes(32))}"
    source = PDSBlobStore(client).create_source([urls[0], missing, urls[1]])
    with pytest.raises(ShardNotFoundError, match="no shard"):
        list(atdata.Dataset[Feature](source))


def test_a_server_that_fails_now_and_then_is_asked_again(
    proxy: FaultProxy, proxied: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    source = PDSBlobStore(proxied).create_source(published(proxied, dataset))
    source.pds_endpoint = proxy.url
    proxy.commit("getBlob", status(503, retry_after="0"))
    assert len(list(atdata.Dataset[Feature](source))) == 100


def test_x5_more_shards_than_a_record_names_are_refused_while_they_are_uploaded(
    proxy: FaultProxy, proxied: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    with pytest.raises(LimitExceededError, match="maxcount or maxsize"):
        PDSBlobStore(proxied).write_samples(dataset, "x", maxcount=1, at_most=2)
    assert proxy.count("uploadBlob") == 3


def test_a_blob_is_fetched_without_looking_for_its_owners_handle_and_within_its_size(
    proxy: FaultProxy, proxied: AtmosphereClient, dataset: atdata.Dataset[Feature]
) -> None:
    [url, *_] = published(proxied, dataset)
    did, cid = parse_url(url)
    network = Network(plc_url=proxy.url, base_url=proxy.url, allow_private=True)
    before = proxy.count("resolveHandle")
    with BlobSource.from_urls([url], network=network).open_shard(url) as shard:
        size = len(shard.read())
    assert proxy.count("resolveHandle") == before
    ref = {"$type": "blob", "ref": {"$link": cid}, "mimeType": "x/y", "did": did}
    for declared in (size, size - 1):
        source = BlobSource.from_refs([{**ref, "size": declared}], network=network)
        if declared == size:
            source.open_shard(url).close()
        else:
            with pytest.raises(LimitExceededError):
                source.open_shard(url)


def test_sources_are_values(client: AtmosphereClient, pds_server: PdsServer) -> None:
    cid = blob_cid(bytes(32))
    url = f"at://{client.did}/blob/{cid}"
    store = PDSBlobStore(client)
    source = store.create_source([url])
    assert source == BlobSource([{"did": client.did, "cid": cid}])
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.list_shards() == [url]
    assert BlobSource.from_urls([store.read_url(url)]) == source
    assert hash(BlobSource.from_refs(source.blob_refs)) == hash(source)
    ref = {"$type": "blob", "ref": {"$link": cid}, "did": client.did}
    assert BlobSource.from_refs([ref]).list_shards() == [url]
    assert store.supports_streaming()
    with pytest.raises(KeyError):
        source.open_shard(f"at://{client.did}/blob/{blob_cid(b'1' * 32)}")


@pytest.mark.parametrize(
    "refs",
    [
        [],
        [{"did": "did:plc:abc"}],
        [{"cid": blob_cid(bytes(32))}],
        [{"did": "../x", "cid": blob_cid(bytes(32))}],
        [{"did": "did:plc:abc", "cid": "bafy"}],
    ],
)
def test_references_that_are_none_are_refused(refs: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        BlobSource.from_refs(refs)


@pytest.mark.parametrize("url", ["s3://a/b", "at://did:plc:abc/blob/x", "at://a.org/blob/b"])
def test_urls_of_no_blob_are_refused(client: AtmosphereClient, url: str) -> None:
    with pytest.raises(InvalidNameError):
        PDSBlobStore(client).read_url(url)
    with pytest.raises(AtdataError):
        PDSBlobStore(client).create_source([url])


def test_nobody_uploads_without_a_login(
    pds_server: PdsServer, dataset: atdata.Dataset[Feature]
) -> None:
    with pytest.raises(ValueError, match="logged in"):
        PDSBlobStore(stranger(pds_server)).write_shards(dataset, prefix="p")


def test_the_list_of_uploads_is_its_owners_alone(client: AtmosphereClient) -> None:
    store = PDSBlobStore(client)
    store.journal.add("x")
    [path] = Path(os.environ["ATDATA_HOME"]).glob("uploads.db")
    assert path.stat().st_mode & 0o077 == 0
    assert client.export_session().split(":::")[2] not in path.read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    "megabytes", [pytest.param(300, marks=pytest.mark.slow, id="300"), pytest.param(30, id="30")]
)
def test_a_large_dataset_goes_up_and_comes_back_within_the_memory_of_one_shard(
    megabytes: int, client: AtmosphereClient, tmp_path: Path
) -> None:
    with atdata.Index(path=tmp_path / "index.db") as local:
        local.write((one_megabyte(number) for number in range(megabytes)), name="large")
        dataset = atdata.load_dataset("@local/large", Feature, index=local, split="train")
        index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
        forget_peak()
        before = peak_megabytes()
        entry = index.insert_dataset(dataset, name="large", maxsize=16_000_000)
        found = atdata.load_dataset(entry.uri, Feature, index=index, split="train")
        count = 0
        for sample in found:
            assert sample.packed == one_megabyte(count).packed
            count += 1
    assert count == megabytes
    # Of which reading ahead takes half.
    assert peak_megabytes() - before < 64


def one_megabyte(number: int) -> Feature:
    return Feature(np.random.default_rng(number).standard_normal(1 << 17), number)
