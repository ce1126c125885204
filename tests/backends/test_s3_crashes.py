"""Writers to S3 that are killed or interrupted: all of a dataset is there, or nothing stays."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.services.s3_server import S3Server

from atdata import Dataset, Index, PackableSample, load_dataset, packable
from atdata.stores import S3DataStore, shard_name
from atdata.testing import store_processes as processes
from atdata.testing.children import Tell, child, elsewhere
from atdata.testing.spooled import put
from atdata_s3.uploads import PART

ROUNDS = [4, pytest.param(100, marks=pytest.mark.slow)]
LARGE = 2 * PART + 5


@packable
class Block(PackableSample):
    """A megabyte with a number."""

    number: int
    values: NDArray[np.uint8]


def blocks(count: int) -> list[Block]:
    return [Block(number, np.full(1 << 20, number, np.uint8)) for number in range(count)]


@pytest.fixture
def options(s3_server: S3Server) -> dict[str, Any]:
    return s3_server.fresh_bucket()


def uploads_in(server: S3Server, bucket: str) -> list[Any]:
    found: list[Any] = server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return found


def put_for_ever(tell: Tell, options: Mapping[str, Any], token: str) -> None:
    store = S3DataStore(**options)
    tell("ready")
    for number in range(sys.maxsize):
        put(store, shard_name("mine", token, number), bytes([number % 256]) * LARGE)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_w1_a_killed_writer_leaves_whole_shards_and_uploads_that_can_be_removed(
    s3_server: S3Server, options: dict[str, Any], rounds: int
) -> None:
    store = S3DataStore(**options)
    rng = random.Random(1)
    for number in range(rounds):
        token = f"t0ken{number}"
        with child(put_for_ever, options, token) as writer:
            writer.hear()
            time.sleep(rng.random())
            writer.kill()
        for url in store.list():
            with store.open(url) as stream:
                data = stream.read()
            assert data == data[:1] * LARGE
        # What the server had in hand when the writer died may show a moment later.
        deadline = time.monotonic() + 5
        while list(store.list()) or uploads_in(s3_server, options["bucket"]):
            assert time.monotonic() < deadline, f"what {token} left is not found"
            for left in store.leftovers("mine", token):
                store.remove(left)


def write_for_ever(tell: Tell, options: Mapping[str, Any], path: str) -> None:
    with Index(path=path, data_store=S3DataStore(**options)) as index:
        tell("ready")
        while True:
            index.write({"train": blocks(70), "test": blocks(3)}, name="mine", maxcount=35)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_w3_a_dataset_of_a_killed_writer_is_there_whole_or_not_at_all(
    s3_server: S3Server, options: dict[str, Any], tmp_path: Path, rounds: int
) -> None:
    rng = random.Random(2)
    store = S3DataStore(**options)
    path = str(tmp_path / "index.db")
    with Index(path=path, data_store=store) as index:
        for _ in range(rounds):
            index.write({"train": blocks(1), "test": blocks(1)}, name="mine")
            with child(write_for_ever, options, path) as writer:
                writer.hear()
                time.sleep(3 * rng.random())
                writer.kill()
            index.delete_leftovers()
            revisions = index.history("mine")
            named = sorted(url for entry in revisions for url in entry.data_urls)
            assert list(store.list()) == named
            assert uploads_in(s3_server, options["bucket"]) == []
            splits = load_dataset("@local/mine", Block, index=index)
            sizes = [sum(1 for _ in splits[split]) for split in ("train", "test")]
            assert sizes in ([1, 1], [70, 3])
            # The server keeps everything in memory.
            index.delete("mine")
            for url in named:
                store.delete(url)


INTERRUPTED = """
import json, sys
from atdata.stores import S3DataStore
from atdata.testing.children import child
from tests.backends.test_s3_crashes import put_for_ever
put_for_ever(lambda told: print(told, flush=True), json.loads(sys.argv[1]), "t0ken")
"""


def test_f5_an_interrupted_writer_ends_soon_and_leaves_nothing_that_is_not_found(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    command = [sys.executable, "-c", INTERRUPTED, json.dumps(options)]
    rng = random.Random(3)
    for _ in range(3):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(rng.random())
            writer.send_signal(signal.SIGINT)
            _, said = writer.communicate(timeout=5)
        assert "KeyboardInterrupt" in said
        store = S3DataStore(**options)
        # An upload whose beginning was just being answered cannot have been ended.
        for left in store.leftovers("mine", "t0ken"):
            store.remove(left)
        assert uploads_in(s3_server, options["bucket"]) == list(store.list()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a peak anew")
def test_two_hundred_megabytes_take_little_memory(options: dict[str, Any]) -> None:
    size = 200 << 20
    written, got, grown = elsewhere(processes.carry, {"store": "s3", **options}, size)
    assert got == written
    assert grown < 32 << 20


@pytest.mark.slow
def test_reading_keeps_up_with_plain_ranged_downloads(
    s3_server: S3Server, options: dict[str, Any]
) -> None:
    store = S3DataStore(**options)
    urls = store.write_samples(blocks(128), prefix="mine")
    source = store.create_source([shard.url for shard in urls])
    ours = min(_seconds(lambda: sum(1 for _ in Dataset[Block](source))) for _ in range(3))
    theirs = min(_seconds(lambda: _download(s3_server.client, urls)) for _ in range(3))
    assert ours < 2 * theirs


def _download(client: Any, shards: Any, size: int = 8 << 20) -> None:
    for shard in shards:
        bucket, _, key = shard.url.removeprefix("s3://").partition("/")
        for at in range(0, shard.bytes, size):
            span = f"bytes={at}-{at + size - 1}"
            client.get_object(Bucket=bucket, Key=key, Range=span)["Body"].read()


def _seconds(act: Any) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
