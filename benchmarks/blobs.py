"""Reading from a PDS on this machine: a dataset, and the same blobs by plain requests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx

import atdata
from benchmarks.measure import timed_often
from benchmarks.rows import Row
from benchmarks.s3 import MEASURE, image, read

OURS, PLAIN = "atdata", "httpx"
_SAMPLES = 500
_BLOB_BYTES = 16_000_000


def measure(folder: Path) -> Iterator[Row]:
    """Yield the seconds that reading a megabyte takes, by a dataset and by plain requests."""
    from tests.services.pds_server import running_pds

    from atdata.atmosphere import AtmosphereClient, AtmosphereIndex, PDSBlobStore

    with running_pds() as pds, httpx.Client(timeout=60) as plain, atdata.Index() as local:
        account = pds.new_account()
        client = AtmosphereClient(pds.url, plc_url=pds.plc_url, allow_private=True)
        client.login(account.handle, account.password)
        local.write(map(image, range(_SAMPLES)), name="images")
        dataset = atdata.load_dataset("@local/images", index=local, split="train")
        store = PDSBlobStore(client)
        index = AtmosphereIndex(client, data_store=store)
        entry = index.insert_dataset(dataset, name="images", maxsize=_BLOB_BYTES)
        urls = [store.read_url(url) for url in entry.data_urls]
        megabytes = sum(len(plain.get(url).content) for url in urls) // 1_000_000
        found = atdata.load_dataset(entry.uri, type(image(0)), index=index, split="train")
        acts = {OURS: partial(read, found), PLAIN: partial(_fetch, plain, urls)}
        for system, act in acts.items():
            act()
            yield Row(system, "blobs", MEASURE, megabytes, *timed_often(act))
        client.close()


def _fetch(client: httpx.Client, urls: list[str]) -> None:
    for url in urls:
        client.get(url).raise_for_status()
