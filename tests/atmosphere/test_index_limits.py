"""Many small datasets within what a server lets one account do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.atmosphere.places import Feature, features, shard_of, somebody
from tests.services.pds_server import PdsServer

import atdata
from atdata.atmosphere import AtmosphereIndex, PDSBlobStore


@pytest.mark.parametrize(
    "count", [pytest.param(200, marks=pytest.mark.slow, id="200"), pytest.param(8, id="8")]
)
def test_small_datasets_publish_within_the_default_limits(
    count: int, strict_server: PdsServer, tmp_path: Path
) -> None:
    with somebody(strict_server) as client:
        index = AtmosphereIndex(client, data_store=PDSBlobStore(client))
        for number in range(count):
            path = tmp_path / f"{number}.tar"
            path.write_bytes(shard_of(features(number + 1)))
            index.insert_dataset(atdata.Dataset[Feature](str(path)), name=f"d{number}")
        entries = index.list_datasets()
        assert {entry.name for entry in entries} == {f"d{number}" for number in range(count)}
        assert len({entry.schema_ref for entry in entries}) == 1
        assert all(one.created_at > other.created_at for one, other in pairwise(entries))
