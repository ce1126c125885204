"""Reading from S3 on this machine: a dataset, and the same objects by the SDK's own requests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import atdata
from benchmarks.measure import timed_often
from benchmarks.rows import Row

OURS, PLAIN = "atdata", "boto3, ranges of 8 MiB"
MEASURE = "read"
_RANGE = 8 << 20
_SAMPLES = 1000
_START_SECONDS = 60


@atdata.packable
class Image:
    pixels: NDArray[np.uint8]
    label: str


def measure(folder: Path) -> Iterator[Row]:
    """Yield the seconds that reading a megabyte takes, by a dataset and by plain requests."""
    from tests.services import ceph_gateway
    from tests.services.s3_server import S3Server

    folder.mkdir(parents=True)
    with ceph_gateway.running(_START_SECONDS) as gateway:
        server = S3Server(*gateway, checks_signatures=True)
        options = server.fresh_bucket()
        store = atdata.S3DataStore(**options)
        shards = store.write_samples(
            map(image, range(_SAMPLES)), prefix="images", cut=atdata.stores.Cut(maxcount=250)
        )
        source = store.create_source([shard.url for shard in shards])
        dataset = atdata.Dataset(source, sample_type=Image)
        acts = {
            OURS: partial(read, dataset),
            PLAIN: partial(_fetch, server.client, options["bucket"]),
        }
        megabytes = sum(shard.bytes for shard in shards) // 1_000_000
        for system, act in acts.items():
            act()
            yield Row(system, "s3", MEASURE, megabytes, *timed_often(act))


def image(number: int) -> Image:
    """Make a sample of 150 kB."""
    return Image(np.full((224, 224, 3), number % 256, np.uint8), f"label {number}")


def read(dataset: atdata.Dataset[Image]) -> None:
    """Read all samples in batches."""
    for batch in dataset.ordered(batch_size=32):
        batch.pixels  # noqa: B018 -- stacking is part of it


def _fetch(client: Any, bucket: str) -> None:
    for found in client.list_objects_v2(Bucket=bucket)["Contents"]:
        for start in range(0, found["Size"], _RANGE):
            stop = min(start + _RANGE, found["Size"])
            answer = client.get_object(
                Bucket=bucket, Key=found["Key"], Range=f"bytes={start}-{stop - 1}"
            )
            answer["Body"].read()
