"""What the tests of publishing share: sample types, shards, and clients with own accounts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from tests.services.pds_server import PdsServer

import atdata
from atdata.shards import ShardWriter
from atdata_atmosphere.client import AtmosphereClient
from atdata_atmosphere.syntax import new_tid


@atdata.packable
class Feature(atdata.PackableSample):
    """A vector and what it is of."""

    values: NDArray[Any]
    label: int


def features(count: int, size: int = 16) -> list[Feature]:
    rows = np.random.default_rng(count).standard_normal((count, size)).astype(np.float32)
    return [Feature(values=row, label=number) for number, row in enumerate(rows)]


def shard_of(samples: Iterable[Any]) -> bytes:
    file = io.BytesIO()
    writer = ShardWriter(file)
    for number, sample in enumerate(samples):
        writer.write(f"{number:06d}", sample.packed)
    writer.finish()
    return file.getvalue()


@contextmanager
def somebody(pds: PdsServer, prefix: str = "bob") -> Iterator[AtmosphereClient]:
    """Give a client logged in to a new account."""
    account = pds.new_account(prefix)
    client = stranger(pds)
    client.login(account.handle, account.password)
    try:
        yield client
    finally:
        client.close()


def stranger(pds: PdsServer) -> AtmosphereClient:
    """Give a client that is not logged in."""
    return AtmosphereClient(pds.url, plc_url=pds.plc_url, allow_private=True)


def write_at_once(client: AtmosphereClient, records: Sequence[dict[str, Any]]) -> None:
    """Store new records by the hundred, as no method of ours does."""
    token = client.export_session().split(":::")[2]
    writes = [
        {
            "$type": "com.atproto.repo.applyWrites#create",
            "collection": record["$type"],
            "rkey": new_tid(),
            "value": record,
        }
        for record in records
    ]
    for start in range(0, len(writes), 200):
        httpx.post(
            f"{client.base_url}/xrpc/com.atproto.repo.applyWrites",
            headers={"authorization": f"Bearer {token}"},
            json={"repo": client.did, "validate": False, "writes": writes[start : start + 200]},
            timeout=60,
        ).raise_for_status()
