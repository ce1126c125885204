"""The documented workflow of a team: an index with its shards in S3, opened by their URLs."""

from __future__ import annotations

import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset as wds
from numpy.typing import NDArray
from tests.services.s3_server import S3Server

import atdata
from atdata import PackableSample, packable
from atdata.errors import StorageError
from atdata.local import LocalIndex, S3DataStore
from atdata.testing.children import elsewhere
from atdata_s3.access import Access, make_access
from atdata_s3.clients import client_for, client_of, remember


@packable
class Window(PackableSample):
    """Features with a label."""

    features: NDArray[np.float32]
    label: int


def windows(count: int) -> list[Window]:
    return [Window(np.full(8, number, np.float32), number) for number in range(count)]


@pytest.fixture
def local(tmp_path: Path) -> str:
    """Write a shard as webdataset does, keys and all."""
    path = str(tmp_path / "local-000000.tar")
    with wds.writer.TarWriter(path) as sink:
        for number, sample in enumerate(windows(20)):
            sink.write({**sample.as_wds, "__key__": f"{number:06d}"})
    return path


@pytest.fixture
def options(s3_server: S3Server) -> dict[str, Any]:
    return s3_server.fresh_bucket()


def _shard_in(store: S3DataStore, samples: list[Window]) -> str:
    entry = LocalIndex(data_store=store).write(samples, name="mine")
    return str(entry.data_urls[0])


def test_a_url_alone_is_opened_as_its_first_writer_opens_it(
    options: dict[str, Any],
) -> None:
    first = S3DataStore(**options)
    opened = atdata.Dataset[Window](_shard_in(first, windows(3)))
    assert len(list(opened)) == 3
    wrong = {**options["credentials"], "AWS_SECRET_ACCESS_KEY": "wrong"}
    remember(options["bucket"], make_access(wrong))
    assert len(list(opened)) == 3


def test_keys_that_change_again_and_again_leave_no_clients_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = make_access({"AWS_ENDPOINT": "http://keys.example"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    clients = []
    for secret in ("one", "two", "two"):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        clients.append(weakref.ref(client_of("bucket", access)))
    gc.collect()
    assert clients[0]() is None
    assert clients[1]() is clients[2]() is client_of("bucket", access)


def test_a_url_alone_is_nobodys_once_two_servers_have_such_a_bucket(
    moto_server: S3Server, options: dict[str, Any]
) -> None:
    bucket = options["bucket"]
    moto_server.client.create_bucket(Bucket=bucket)
    here = S3DataStore(**options)
    there = S3DataStore(moto_server.credentials, bucket=bucket)
    urls = [_shard_in(here, windows(3)), _shard_in(there, windows(5))]
    for url, store, count in zip(urls, (here, there), (3, 5), strict=True):
        assert client_for(bucket, Access()) is client_of(bucket, Access())
        assert len(list(atdata.Dataset[Window](store.create_source([url])))) == count
    _shard_in(here, windows(1))
    assert client_for(bucket, Access()) is client_of(bucket, Access())


def test_a_dataset_is_inserted_and_opened_by_its_first_url(
    options: dict[str, Any], local: str
) -> None:
    store = S3DataStore(credentials=options["credentials"], bucket=options["bucket"])
    index = LocalIndex(data_store=store)
    ref = index.publish_schema(Window, version="1.0.0")
    entry = index.insert_dataset(atdata.Dataset[Window](local), name="training-v1", prefix="mine")
    found = index.get_entry_by_name("training-v1")
    assert found.schema_ref == ref
    assert found.cid == entry.cid
    assert found.data_urls[0].startswith(f"s3://{options['bucket']}/mine/")
    # Nothing but the store knows the keys.
    ds = atdata.Dataset[Window](found.data_urls[0])
    assert [batch.features.shape for batch in ds.ordered(batch_size=8)] == [(8, 8), (8, 8), (4, 8)]
    decoded: Any = index.decode_schema(ref)
    assert len(list(atdata.Dataset[decoded](found.data_urls[0]))) == 20
    loaded = atdata.load_dataset("@local/training-v1", index=index, split="train")
    assert len(list(loaded)) == 20


def read(source: Any) -> str:
    try:
        return str(len(list(atdata.Dataset[Window](source))))
    except StorageError as error:
        return str(error)


def test_keys_that_a_store_lends_do_not_leave_the_process(
    s3_server: S3Server, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.need_signatures()
    store = S3DataStore(**options)
    (url,) = [shard.url for shard in store.write_samples(windows(3), prefix="mine")]
    lent = atdata.Dataset[Window](url).source
    assert read(lent) == "3"
    assert s3_server.secret_key.encode() not in pickle.dumps(lent)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    assert "access key" in elsewhere(read, lent)
    assert elsewhere(read, store.create_source([url])) == "3"


def test_keys_are_never_lent_to_an_anonymous_source(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    s3_server.need_signatures()
    store = S3DataStore(**options)
    (url,) = [shard.url for shard in store.write_samples(windows(3), prefix="mine")]
    stranger = atdata.S3Source.from_urls([url], endpoint=s3_server.endpoint, anonymous=True)
    assert "is denied" in read(stranger)


def test_datasets_move_from_one_bucket_and_index_to_another(
    options: dict[str, Any], s3_server: S3Server, tmp_path: Path
) -> None:
    here = LocalIndex(path=tmp_path / "here.db", data_store=S3DataStore(**options))
    there = LocalIndex(
        path=tmp_path / "there.db", data_store=S3DataStore(**s3_server.fresh_bucket())
    )
    here.write({"train": windows(7), "test": windows(2)}, name="mine", maxcount=3)
    splits = atdata.load_dataset("@local/mine", Window, index=here)
    there.insert_dataset(splits, name="mine", maxcount=3)
    moved = atdata.load_dataset("@local/mine", Window, index=there)
    assert [len(list(moved[split])) for split in ("train", "test")] == [7, 2]
    assert there.get_dataset("mine").content_cid == here.get_dataset("mine").content_cid
