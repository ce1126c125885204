"""``DataSourceTests``: what every data source promises, as tests that its author inherits."""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import pytest

from atdata.dataset import Dataset
from atdata.dataset.url import redacted
from atdata.errors import ShardNotFoundError, TruncatedShardError
from atdata.protocols import DataSource
from atdata.testing import source_processes as processes
from atdata.testing.children import elsewhere
from atdata.testing.io_watch import watched
from atdata.testing.kit import Kit
from atdata.testing.readings import Reading, readings, shard_of

MakeSource = Callable[[Mapping[str, bytes | None]], Any]

DATA = random.Random(1).randbytes(300_000)
FILES = {
    "b.tar": shard_of(readings(7)),
    "a.tar": shard_of(readings(1, 7)),
    "c.tar": shard_of(readings(12, 8)),
}
READINGS = readings(20)


class DataSourceTests(Kit):
    """The promises of ``atdata.DataSource``, and that datasets read through it.

    A subclass has one fixture ``make_source``: a function that takes the bytes of shards by file
    name, puts them where the source reads from, and returns a source that lists exactly these, in
    this order, by whatever identifiers it has. In place of the bytes of a shard may stand None: it
    is listed, and not there. Make the source as users do: ``Dataset(urls).source`` for a scheme
    that a plugin serves.
    """

    large_bytes = 64 << 20
    """The size of the large shard."""
    large_memory = 48 << 20
    """How much more memory, in bytes, a process may take while it reads that shard."""

    @pytest.fixture
    def source(self, make_source: MakeSource) -> Any:
        return make_source(FILES)

    def test_it_is_a_data_source(self, source: Any) -> None:
        assert isinstance(source, DataSource)
        assert isinstance(getattr(source, "is_remote", False), bool)

    def test_it_lists_its_shards_in_the_order_they_were_given(self, source: Any) -> None:
        ids = source.list_shards()
        assert isinstance(ids, list)
        assert [_read(source, shard) for shard in ids] == list(FILES.values())
        assert len({*ids}) == len(FILES)

    def test_its_list_is_always_the_same(self, source: Any) -> None:
        ids = [*source.list_shards()]
        source.list_shards().clear()
        assert source.list_shards() == ids
        assert pickle.loads(pickle.dumps(source)).list_shards() == ids  # noqa: S301 -- made here
        assert elsewhere(processes.list_shards, source) == ids

    def test_listing_reads_and_connects_to_nothing(self, source: Any) -> None:
        pickled = pickle.dumps(source)
        # The first copy may import what the source needs.
        processes.list_copy(pickled)
        with watched() as events:
            processes.list_copy(pickled)
        assert events == []

    def test_all_spellings_give_the_same_shards(self, source: Any) -> None:
        ids = source.list_shards()
        assert list(source.shard_list) == ids
        assert [(shard, _drain(stream)) for shard, stream in source.shards] == [
            (shard, _drain(stream)) for shard, stream in source.shards()
        ]
        assert [shard for shard, _ in source.shards] == ids

    def test_a_shard_that_is_not_listed_is_a_key_error(self, source: Any) -> None:
        known = source.list_shards()[0]
        for unknown in ("", "no-such-shard", f"{known}.more", f"{known}/../x", "/etc/passwd"):
            with pytest.raises(KeyError):
                source.open_shard(unknown)

    def test_a_shard_is_read_from_its_start_each_time(self, source: Any) -> None:
        (first, *_), data = source.list_shards(), FILES["b.tar"]
        with source.open_shard(first) as stream:
            # Where CI is set, pytest would explain for an hour how so many bytes differ.
            is_whole = _drain(stream) == data
            assert is_whole
        with source.open_shard(first) as stream:
            assert stream.read(10) == data[:10]
        is_whole = _read(source, first) == data
        assert is_whole

    def test_streams_are_independent(self, source: Any) -> None:
        first, second, _ = source.list_shards()
        with source.open_shard(first) as one, source.open_shard(second) as two:
            with source.open_shard(first) as three:
                assert one.read(1000) == three.read(1000) == FILES["b.tar"][:1000]
            assert _drain(two) == FILES["a.tar"]
            assert _drain(one) == FILES["b.tar"][1000:]

    @pytest.mark.parametrize("size", [1, 7, 511, 4097, 299_999, 300_000, 1 << 20])
    def test_reads_of_any_size_give_all_bytes(self, make_source: MakeSource, size: int) -> None:
        data = DATA[: size * 1000]
        source = make_source({"odd.tar": data})
        with source.open_shard(source.list_shards()[0]) as stream:
            parts = list(iter(lambda: stream.read(size), b""))
            is_whole = b"".join(parts) == data
            assert is_whole
            assert max(map(len, parts)) <= size
            assert stream.read(size) == b""

    def test_a_stream_closes_once_or_twice_and_alone(self, source: Any) -> None:
        first, second, _ = source.list_shards()
        one, two = source.open_shard(first), source.open_shard(second)
        one.read(10)
        one.close()
        one.close()
        with two:
            assert _drain(two) == FILES["a.tar"]

    def test_a_copy_of_it_reads(self, source: Any) -> None:
        with source.open_shard(source.list_shards()[0]) as stream:
            stream.read(1)
            copy = pickle.loads(pickle.dumps(source))  # noqa: S301 -- made here
        assert list(Dataset[Reading](copy)) == READINGS
        assert elsewhere(processes.numbers, source) == list(range(20))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_it_reads_on_both_sides_of_a_fork(self, source: Any) -> None:
        assert elsewhere(processes.read_on_both_sides_of_a_fork, source)

    def test_threads_share_it(self, source: Any) -> None:
        ids = source.list_shards() * 8
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda shard: _read(source, shard), ids))
        assert got == list(FILES.values()) * 8

    def test_a_dataset_reads_it_again_and_again(self, source: Any) -> None:
        ds = Dataset[Reading](source)
        assert list(ds) == READINGS
        assert list(ds.ordered()) == READINGS
        assert [len(batch.number) for batch in ds.ordered(batch_size=8)] == [8, 8, 4]
        assert list(ds) == READINGS

    def test_a_dataset_shuffles_it_without_loss(self, source: Any) -> None:
        shuffled = list(Dataset[Reading](source).shuffled())
        assert sorted(shuffled, key=lambda sample: sample.number) == READINGS

    @pytest.mark.parametrize("nodes", [1, 2, 3, 5])
    def test_nodes_share_its_shards_without_loss(
        self, source: Any, nodes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipeline = pickle.loads(pickle.dumps(Dataset[Reading](source).ordered()))  # noqa: S301
        monkeypatch.setenv("WORLD_SIZE", str(nodes))
        numbers = []
        for rank in range(nodes):
            monkeypatch.setenv("RANK", str(rank))
            numbers += [sample.number for sample in pipeline]
        assert sorted(numbers) == list(range(20))

    def test_a_dataset_left_midway_can_be_read_again(self, source: Any) -> None:
        ds = Dataset[Reading](source)
        samples = iter(ds)
        assert next(samples) == READINGS[0]
        del samples
        assert list(ds) == READINGS

    @pytest.mark.parametrize("cut", [0, 1, 511, 512, 2000, -513])
    def test_a_truncated_shard_is_an_error_that_names_it(
        self, make_source: MakeSource, cut: int
    ) -> None:
        source = make_source({**FILES, "cut.tar": FILES["b.tar"][:cut]})
        with pytest.raises(TruncatedShardError) as caught:
            list(Dataset[Reading](source))
        assert redacted(source.list_shards()[-1]) in str(caught.value)

    def test_a_missing_shard_is_an_error_that_names_it(self, make_source: MakeSource) -> None:
        source = make_source({**FILES, "missing.tar": None})
        missing = source.list_shards()[-1]
        with pytest.raises(ShardNotFoundError) as caught:
            list(Dataset[Reading](source))
        assert redacted(missing) in str(caught.value)
        with pytest.raises(FileNotFoundError):
            _read(source, missing)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a peak anew")
    def test_a_large_shard_takes_little_memory(self, make_source: MakeSource) -> None:
        source = make_source({"small.tar": b"data", "large.tar": bytes(self.large_bytes)})
        size, grown = elsewhere(processes.read_large, source)
        assert size == self.large_bytes
        assert grown <= self.large_memory


def _drain(stream: IO[bytes]) -> bytes:
    return b"".join(iter(lambda: stream.read(1 << 16), b""))


def _read(source: Any, shard: str) -> bytes:
    with source.open_shard(shard) as stream:
        return _drain(stream)
