"""Shards in S3 are compared with what the index knows of them, unless that is switched off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.services.s3_server import S3Server
from tests.shard_files import shard_bytes

from atdata import AtdataError, Index, S3DataStore, load_dataset
from atdata.errors import CorruptDataError
from atdata_s3.names import S3Object

# A shard of about 20 kB.
SAMPLES = items(19)


class Stored:
    """A dataset of one shard in S3, which can be changed there."""

    def __init__(self, index: Index, server: S3Server) -> None:
        self.index = index
        [shard] = index.write(SAMPLES, name="digits").shards or []
        self._client = server.client
        self._object = S3Object.from_url(shard.url).arguments
        self.data: bytes = self._client.get_object(**self._object)["Body"].read()

    def put(self, data: bytes) -> None:
        self._client.put_object(**self._object, Body=data)

    def read(self, **options: Any) -> list[Item]:
        return list(load_dataset("@local/digits", Item, split="train", index=self.index, **options))


@pytest.fixture
def stored(s3_server: S3Server, tmp_path: Path) -> Iterator[Stored]:
    store = S3DataStore(**s3_server.fresh_bucket())
    with Index(path=tmp_path / "index.db", data_store=store) as index:
        yield Stored(index, s3_server)


@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_bit_flip_is_noticed(stored: Stored, all_of_them: bool) -> None:
    for number in range(0, 8 * len(stored.data), 1 if all_of_them else 997):
        at, bit = divmod(number, 8)
        changed = bytearray(stored.data)
        changed[at] ^= 1 << bit
        stored.put(bytes(changed))
        with pytest.raises(AtdataError):
            stored.read()
    stored.put(stored.data)
    assert stored.read() == SAMPLES


def test_digests_can_be_switched_off(stored: Stored) -> None:
    stored.put(stored.data.replace(b"text 7", b"text 8"))
    with pytest.raises(CorruptDataError, match=r"SHA-256.*dataset 'digits'"):
        stored.read()
    assert stored.read(verify=False)[7].text == "text 8"


def test_another_shard_in_its_place_is_an_error_even_then(stored: Stored) -> None:
    for other in (shard_bytes(items(18)), shard_bytes(items(20)), stored.data + bytes(512)):
        stored.put(other)
        with pytest.raises(CorruptDataError, match="bytes, not"):
            stored.read(verify=False)
    stored.put(shard_bytes(items(18)).ljust(len(stored.data), b"\0"))
    with pytest.raises(CorruptDataError, match="18 samples, not 19"):
        stored.read(verify=False)


def test_truncation_at_any_offset_is_an_error(stored: Stored) -> None:
    for size in itertools.chain(range(0, len(stored.data), 1999), [len(stored.data) - 1]):
        stored.put(stored.data[:size])
        with pytest.raises(CorruptDataError, match="dataset 'digits'"):
            stored.read(verify=False)
