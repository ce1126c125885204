"""Shards of remote sources are fetched by a thread while those before them are consumed."""

from __future__ import annotations

import io
import os
import threading
import time
from typing import IO, Any

import pytest
from tests.backends.processes import exit_code, in_child
from tests.sample_types import Item, items
from tests.shard_files import shard_bytes

from atdata import Dataset
from atdata.dataset import ShardSource
from atdata.dataset.ahead import CHUNK, IN_FLIGHT
from atdata.errors import StorageError


class SlowRemote(ShardSource):
    """Shards in memory that say they are remote, and tell how much of them was read."""

    is_remote = True

    def __init__(self, shards: dict[str, bytes], failing: str = "") -> None:
        self._data = shards
        self._failing = failing
        self.read = 0

    def list_shards(self) -> list[str]:
        return list(self._data)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        if shard_id == self._failing:
            raise StorageError(f"{shard_id} is down")
        return _Counting(self, self._data[shard_id])


class _Counting(io.BytesIO):
    def __init__(self, source: SlowRemote, data: bytes) -> None:
        super().__init__(data)
        self._source = source

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._source.read += len(data)
        return data


def _fetchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "atdata-read-ahead"]


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        time.sleep(0.01)


def _source(shards: int, count: int = 10) -> SlowRemote:
    return SlowRemote({f"s{n}": shard_bytes(items(count, n * count)) for n in range(shards)})


def test_samples_come_in_order_and_complete() -> None:
    assert list(Dataset[Item](_source(5))) == items(50)
    assert not _fetchers()


def test_every_epoch_fetches_anew() -> None:
    pipeline = Dataset[Item](_source(3)).ordered()
    assert list(pipeline) == list(pipeline) == items(30)


def test_no_more_than_the_stated_bytes_are_in_flight() -> None:
    big = {f"s{n}": shard_bytes(items(2000)) for n in range(3 * IN_FLIGHT // 1_000_000)}
    source = SlowRemote(big)
    samples = iter(Dataset[Item](source))
    next(samples)
    _wait_until(lambda: source.read >= IN_FLIGHT)
    time.sleep(0.1)
    # What is queued, what the reader has taken out, and the chunk that waits for room.
    assert source.read <= IN_FLIGHT + 8 * CHUNK
    samples.close()  # type: ignore[attr-defined]
    assert not _fetchers()


def test_closing_the_iterator_ends_the_thread() -> None:
    samples = iter(Dataset[Item](_source(40, 500)))
    next(samples)
    samples.close()  # type: ignore[attr-defined]
    assert not _fetchers()


def test_an_error_of_the_source_comes_out_where_samples_are_asked_for() -> None:
    source = SlowRemote({f"s{n}": shard_bytes(items(10, n * 10)) for n in range(3)}, failing="s1")
    samples = iter(Dataset[Item](source))
    assert [next(samples) for _ in range(10)] == items(10)
    with pytest.raises(StorageError, match="s1 is down"):
        next(samples)
    assert not _fetchers()


def test_an_interrupt_ends_the_thread() -> None:
    def interrupted() -> None:
        for position, _ in enumerate(Dataset[Item](_source(40, 500))):
            if position == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    _wait_until(lambda: not _fetchers())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_cannot_go_on_with_the_iterator_but_can_begin_anew() -> None:
    dataset = Dataset[Item](_source(5))
    samples = iter(dataset)
    next(samples)
    # Everything is fetched and waits; nothing else runs while the process forks.
    _wait_until(lambda: not _fetchers())

    def go_on_and_begin_anew() -> bool:
        # The first window is there already; what follows is not.
        with pytest.raises(StorageError, match="iterate again"):
            list(samples)
        return len(list(dataset)) == 50

    assert exit_code(in_child(go_on_and_begin_anew)) == 0
    assert len(list(samples)) == 49
