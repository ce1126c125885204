"""What the documentation shows of Redis, run as written against a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import webdataset as wds
from numpy.typing import NDArray
from tests.services.redis_server import Place

import atdata
from atdata.local import LocalDatasetEntry, LocalIndex

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "redis.md"


@atdata.packable
class ImageSample:
    image: NDArray[Any]
    label: str


@atdata.packable
class TrainingSample:
    """A sample containing features and label for training."""

    features: NDArray[Any]
    label: int


@pytest.fixture
def client(redis_server: Place) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.fresh_url()) as client:
        yield client


def test_every_block_of_the_page_runs(redis_server: Place, tmp_path: Path) -> None:
    url = redis_server.fresh_url()
    host, port, database = re.fullmatch(r"redis://(.*):(\d+)/(\d+)", url).groups()  # type: ignore[union-attr]
    text = PAGE.read_text(encoding="utf-8").replace("redis://localhost:6379/0", url)
    text = text.replace('host="localhost", port=6379', f'host="{host}", port={port}, db={database}')
    assert "localhost" not in text
    # A title keeps a block from being run where no server is.
    page = tmp_path / "redis.md"
    page.write_text(re.sub("```python title=.*", "```python", text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.documents.run_page", page],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr


def test_the_workflow_of_writing_and_loading_by_name_runs(
    client: redis.Redis, tmp_path: Path
) -> None:
    index = atdata.Index(redis=client, data_store=atdata.LocalDiskStore(root=tmp_path))
    schema_ref = index.publish_schema(TrainingSample, version="1.0.0")
    assert [(one["name"], one["version"]) for one in index.list_schemas()] == [
        ("TrainingSample", "1.0.0")
    ]
    assert index.decode_schema(schema_ref).__name__ == "TrainingSample"
    samples = [
        TrainingSample(features=np.random.randn(128).astype(np.float32), label=i % 10)  # noqa: NPY002
        for i in range(100)
    ]
    entry = index.write(samples, name="training-v1", maxcount=50)
    assert len(entry.data_urls) == 2
    atdata.set_default_index(index)
    try:
        ds: Any = atdata.load_dataset("@local/training-v1", split="train")
        assert next(iter(ds.ordered(batch_size=32))).features.shape == (32, 128)
    finally:
        atdata.set_default_index(None)


def test_the_reference_of_adding_and_getting_entries_runs(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Others may write to a Redis database, so files of this machine are allowed first.
    index = LocalIndex(redis=client, allow=[f"{tmp_path}/"])
    dataset = atdata.Dataset[ImageSample]("data-{000000..000009}.tar")
    entry = index.add_entry(
        dataset,
        name="my-dataset",
        schema_ref="atdata://local/sampleSchema/ImageSample@1.0.0",
        metadata={"description": "Training images"},
    )
    assert (entry.name, entry.data_urls) == ("my-dataset", ["data-{000000..000009}.tar"])
    assert list(index.entries) == index.all_entries == [entry]
    assert index.get_entry_by_name("my-dataset") == index.get_entry(entry.cid) == entry
    assert (entry.wds_url, entry.sample_kind) == (entry.data_urls[0], entry.schema_ref)
    ref = index.publish_schema(ImageSample, version="1.0.0", description="Image with label")
    schema = index.get_schema(ref)
    assert (schema["name"], schema["version"]) == ("ImageSample", "1.0.0")
    with wds.writer.TarWriter("temp.tar") as sink:
        for i in range(3):
            sample: Any = ImageSample(image=np.zeros((4, 4), np.float32), label=f"sample_{i}")
            sink.write({**sample.as_wds, "__key__": f"{i:06d}"})
    sample_type = index.decode_schema(ref)
    stored = atdata.Dataset("temp.tar", sample_type=sample_type)
    assert [sample.label for sample in stored.ordered()] == ["sample_0", "sample_1", "sample_2"]


def test_host_port_and_database_select_redis(client: redis.Redis) -> None:
    at = client.connection_pool.connection_kwargs
    index = LocalIndex(host=at["host"], port=at["port"], db=at["db"])
    assert index.all_entries == []
    index.close()


def test_an_entry_made_by_hand_has_the_documented_cid(client: redis.Redis) -> None:
    entry = LocalDatasetEntry(
        _name="my-dataset",
        _schema_ref="local://schemas/examples.TrainingSample@1.0.0",
        _data_urls=["s3://bucket/data-000000.tar", "s3://bucket/data-000001.tar"],
        _metadata={"source": "example", "samples": 10000},
    )
    entry.write_to(client)
    assert LocalDatasetEntry.from_redis(client, entry.cid).metadata == entry.metadata
