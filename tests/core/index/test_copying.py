"""Datasets copied from one index to another, with and without their shards."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from tests.core.index.kinds import Note, PlainStore, Point, changed, notes, points

from atdata import Dataset, Index, LocalDiskStore, URLSource, load_dataset
from atdata.dataset import ShardSource
from atdata.errors import CorruptDataError, NotFoundError, StorageError
from atdata.index import LocalDatasetEntry
from atdata.index.known_writes import WRITE, known_writes
from atdata.index.memory import MemoryProvider


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Index]:
    with Index(path=tmp_path / "a" / "index.db") as index:
        yield index


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    store = LocalDiskStore(tmp_path / "b" / "data")
    options: dict[str, Any] = {"provider": "memory"}
    if request.param == "sqlite":
        options = {"path": tmp_path / "b" / "index.db"}
    with Index(data_store=store, **options) as index:
        yield index


def same(left: LocalDatasetEntry, right: LocalDatasetEntry) -> bool:
    """Tell whether two entries differ in nothing but where their shards are."""
    return _facts(left) == _facts(right)


def _facts(entry: LocalDatasetEntry) -> list[Any]:
    shards = [(s.count, s.bytes, s.sha256, s.split) for s in entry.shards or ()]
    facts = [entry.name, entry.schema_ref, entry.metadata, entry.created_at, entry.content_cid]
    return [*facts, entry.revision, shards]


def state(index: Index) -> Any:
    return [index.history(entry.name) for entry in index.datasets], list(_shards(index))


def _shards(index: Index) -> Iterator[str]:
    assert isinstance(index.data_store, LocalDiskStore)
    return index.data_store.list()


def test_an_entry_is_copied_with_its_schema_and_its_shards_stay(
    source: Index, target: Index
) -> None:
    index = Index(provider=MemoryProvider(), data_store=target.data_store)
    original = source.write({"train": points(3), "test": points(2)}, name="mine", metadata={"a": 1})
    copy = source.copy_to(target, "mine")
    assert copy == original
    assert target.get_schema(copy.schema_ref) == source.get_schema(copy.schema_ref)
    assert list(_shards(target)) == []
    loaded = load_dataset("@local/mine", index=target)
    assert {name: len(list(ds)) for name, ds in loaded.items()} == {"train": 3, "test": 2}
    assert index.list_datasets() == []


def test_shards_are_copied_and_everything_known_of_them_carries_over(
    source: Index, target: Index, tmp_path: Path
) -> None:
    splits = {"train": points(5), "test": points(2)}
    original = source.write(splits, name="team/mine", maxcount=2, metadata={"a": [1, None]})
    copy = source.copy_to(target, "team/mine", shards=True)
    assert same(copy, original)
    assert copy.cid != original.cid
    assert sorted(copy.data_urls) == list(_shards(target))
    (tmp_path / "a").rename(tmp_path / "gone")
    loaded = load_dataset("@local/team/mine", index=target)
    assert [s.label for s in loaded["train"]] == [0, 1, 2, 3, 4]
    assert [s.label for s in loaded["test"]] == [0, 1]


@pytest.mark.parametrize("shards", [False, True])
def test_copying_again_changes_nothing(source: Index, target: Index, shards: bool) -> None:
    source.write(points(3), name="mine", maxcount=1)
    copy = source.copy_to(target, "mine", shards=shards)
    before = state(target)
    assert source.copy_to(target, "mine", shards=shards) == copy
    assert target.copy_to(target, "mine", shards=shards) == copy
    assert state(target) == before
    assert target.provider.scan(WRITE) == []


def test_copying_back_changes_nothing(source: Index, target: Index) -> None:
    original = source.write(points(3), name="mine", prefix="elsewhere")
    source.copy_to(target, "mine", shards=True)
    assert target.copy_to(source, "mine", shards=True) == original
    assert source.history("mine") == [original]


def test_shards_can_follow_an_entry_that_was_copied_without(source: Index, target: Index) -> None:
    original = source.write(points(3), name="mine")
    source.copy_to(target, "mine")
    copy = source.copy_to(target, "mine", shards=True)
    assert copy.revision == 2
    assert copy.content_cid == original.content_cid
    assert copy.data_urls == list(_shards(target))


def test_history_is_copied_oldest_first_and_is_completed(source: Index, target: Index) -> None:
    for text in "aba":
        source.write(notes(text), name="mine")
    source.copy_to(target, "mine", history=True, shards=True)
    source.write(notes("c"), name="mine")
    last = source.copy_to(target, "mine", history=True, shards=True)
    assert last.revision == 4
    pairs = zip(source.history("mine"), target.history("mine"), strict=True)
    assert all(same(left, right) for left, right in pairs)
    texts = [
        [s.text for s in load_dataset(f"@local/mine@{n}", split="train", index=target)]
        for n in (1, 2, 3, 4)
    ]
    assert texts == [["a"], ["b"], ["a"], ["c"]]


def test_the_newest_revision_is_copied_or_a_certain_one(source: Index, target: Index) -> None:
    first, second = (source.write(notes(text), name="mine") for text in "ab")
    assert source.copy_to(target, "mine").data_urls == second.data_urls
    assert source.copy_to(target, "mine@1").data_urls == first.data_urls
    assert [entry.revision for entry in target.history("mine")] == [2, 1]


def test_a_name_that_is_taken_gets_a_new_revision(source: Index, target: Index) -> None:
    target.write(notes("theirs"), name="mine")
    source.write(notes("ours"), name="mine")
    assert source.copy_to(target, "mine", shards=True).revision == 2
    first = load_dataset("@local/mine@1", split="train", index=target)
    assert [s.text for s in first] == ["theirs"]


def test_a_schema_keeps_its_version_and_description(source: Index, target: Index) -> None:
    ref = source.publish_schema(Note, version="3.1.4", description="Said", metadata={"x": 1})
    source.write(notes("a"), name="mine")
    assert source.copy_to(target, "mine").schema_ref == ref
    assert target.get_schema(ref) == source.get_schema(ref)


def test_a_schema_whose_version_is_taken_becomes_the_next_one(source: Index, target: Index) -> None:
    target.publish_schema(changed(text=int))
    source.write(notes("a"), name="mine")
    for _ in range(2):
        copy = source.copy_to(target, "mine", shards=True)
        assert copy.schema_ref == "atdata://local/sampleSchema/Note@1.0.1"
    assert [s.text for s in load_dataset("@local/mine", split="train", index=target)] == ["a"]
    assert len(target.list_schemas()) == 2


def test_a_missing_dataset_is_not_found(source: Index, target: Index) -> None:
    with pytest.raises(NotFoundError, match="'mine'"):
        source.copy_to(target, "mine")


def damage(url: str) -> None:
    data = bytearray(Path(url).read_bytes())
    data[700] ^= 1
    Path(url).write_bytes(data)


def test_a_shard_that_is_not_what_was_written_is_named_and_nothing_is_registered(
    source: Index, target: Index
) -> None:
    original = source.write(points(3), name="mine", maxcount=1)
    damage(original.data_urls[1])
    with pytest.raises(CorruptDataError, match="SHA-256") as caught:
        source.copy_to(target, "mine", shards=True)
    assert caught.value.details["shard"] == original.data_urls[1]
    assert target.list_datasets() == []
    assert len(list(_shards(target))) == 1
    damage(original.data_urls[1])
    assert same(source.copy_to(target, "mine", shards=True), original)
    assert len(list(_shards(target))) == 3


FULL_DISK = """
import resource, signal, sys
from atdata import Index, LocalDiskStore
from atdata.errors import StorageError
from tests.core.index.kinds import points

stores = [LocalDiskStore(folder) for folder in sys.argv[1:]]
source, target = (Index(provider="memory", data_store=store) for store in stores)
source.write(points(30), name="mine")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    source.copy_to(target, "mine", shards=True)
except StorageError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    print(error, target.list_datasets(), list(stores[1].list()))
    source.copy_to(target, "mine", shards=True)
"""


def test_w5_a_copy_that_the_disk_has_no_room_for_is_one_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\S+\.tar could not be copied: File too large \[\] \[\]\n", done.stdout)


def test_what_a_failed_copy_left_can_be_removed_instead(source: Index, target: Index) -> None:
    original = source.write(points(3), name="mine", maxcount=1)
    damage(original.data_urls[2])
    with pytest.raises(CorruptDataError):
        source.copy_to(target, "mine", shards=True)
    left = list(_shards(target))
    assert len(left) == 2
    assert [one.url for one in target.delete_leftovers().found] == left
    damage(original.data_urls[2])
    assert same(source.copy_to(target, "mine", shards=True), original)
    assert target.delete_leftovers().found == []
    assert len(list(_shards(target))) == 3


COPIER = """
import os, sys
from atdata import Index

class Killed(Index):
    def create_source(self, urls, **options):
        source = super().create_source(urls, **options)
        opens = source.open_shard
        def open_shard(shard):
            if shard == urls[2]:
                os.kill(os.getpid(), 9)
            return opens(shard)
        source.open_shard = open_shard
        return source

Killed(path=sys.argv[1]).copy_to(Index(path=sys.argv[2]), "mine", shards=True)
"""


def test_a_killed_copy_is_taken_up_and_copies_only_what_is_missing(
    source: Index, tmp_path: Path
) -> None:
    original = source.write(points(5), name="mine", maxcount=1)
    paths = [tmp_path / "a" / "index.db", tmp_path / "b" / "index.db"]
    command = [sys.executable, "-c", COPIER, *map(str, paths)]
    assert subprocess.run(command, check=False).returncode == -9
    store = LocalDiskStore(tmp_path / "b" / "data")
    before = {url: Path(url).stat().st_ino for url in store.list()}
    assert len(before) == 2
    with Index(path=paths[1]) as target:
        (write,) = known_writes(target.provider)
        assert write.is_running() is False
        assert same(source.copy_to(target, "mine", shards=True), original)
        assert target.provider.scan(WRITE) == []
        assert [one.kind for one in target.delete_leftovers().found] == []
    after = {url: Path(url).stat().st_ino for url in store.list()}
    assert len(after) == 5
    assert before.items() <= after.items()


def test_two_who_copy_at_once_make_one_revision_and_leave_nothing(
    source: Index, target: Index
) -> None:
    source.write(points(20), name="mine", maxcount=1)
    copies: list[LocalDatasetEntry] = []
    both = threading.Barrier(2)

    def copy() -> None:
        sys.settrace(None)
        both.wait()
        copies.append(source.copy_to(target, "mine", shards=True))

    threads = [threading.Thread(target=copy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copies[0] == copies[1]
    assert len(target.history("mine")) == 1
    assert sorted(copies[0].data_urls) == list(_shards(target))
    assert target.provider.scan(WRITE) == []


def test_shards_that_atdata_did_not_write_are_copied_with_their_splits(
    source: Index, target: Index, tmp_path: Path
) -> None:
    store = LocalDiskStore(tmp_path / "loose")
    made = {split: store.write_shards(points_of(n), prefix=split) for split, n in SPLITS.items()}
    pattern = [url for urls in made.values() for url in urls]
    ds = Dataset[Point](f"{{{','.join(pattern)}}}")
    source.add_entry(ds, name="mine")
    copy = source.copy_to(target, "mine", shards=True)
    assert copy.shards is None
    assert source.copy_to(target, "mine", shards=True) == copy
    loaded = load_dataset("@local/mine", index=target)
    assert {name: len(list(ds)) for name, ds in loaded.items()} == SPLITS
    assert set(copy.data_urls) == set(_shards(target))


SPLITS = {"train": 3, "test": 2}


def points_of(count: int) -> Any:
    return list(points(count))


class NetworkEntry:
    """An entry with the four documented properties."""

    def __init__(self, entry: LocalDatasetEntry) -> None:
        self.name, self.schema_ref = entry.name, entry.schema_ref
        self.data_urls, self.metadata = entry.data_urls, entry.metadata


class NetworkSource(ShardSource):
    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [url.removeprefix("net:") for url in urls]

    def list_shards(self) -> list[str]:
        return self._urls

    def open_shard(self, shard_id: str) -> IO[bytes]:
        return URLSource(self._urls).open_shard(shard_id)


class NetworkIndex:
    """An index of another kind, as far as copying from it goes."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def get_dataset(self, ref: str) -> NetworkEntry:
        entry = NetworkEntry(self._index.get_dataset(ref))
        entry.data_urls = [f"net:{url}" for url in entry.data_urls]
        return entry

    def decode_schema(self, ref: str) -> type[Any]:
        return self._index.decode_schema(ref)

    def create_source(self, urls: Sequence[str]) -> NetworkSource:
        return NetworkSource(urls)


def test_any_index_can_be_copied_from(source: Index, target: Index) -> None:
    source.write(points(3), name="mine", maxcount=2, metadata={"a": 1})
    network: Any = NetworkIndex(source)
    copy = target.copy_from(network, "mine", shards=True)
    assert copy.metadata == {"a": 1}
    assert [s.label for s in load_dataset("@local/mine", split="train", index=target)] == [0, 1, 2]
    with pytest.raises(TypeError, match="NetworkIndex keeps no history"):
        target.copy_from(network, "mine", history=True)


class Undated(NetworkIndex):
    """An index whose entries say what their shards are, but not when they were stored."""

    def get_dataset(self, ref: str) -> Any:
        found = self._index.get_dataset(ref)
        entry: Any = NetworkEntry(found)
        entry.shards, entry.content_cid, entry.created_at = found.shards, found.content_cid, ""
        entry.foreign = False
        return entry


def test_an_entry_without_a_time_is_recognised_by_its_digests(source: Index, target: Index) -> None:
    source.write(points(3), name="mine")
    undated: Any = Undated(source)
    copy = target.copy_from(undated, "mine")
    assert target.copy_from(undated, "mine") == copy


def test_a_store_that_takes_no_whole_shards_is_said_to_be_none(
    source: Index, tmp_path: Path
) -> None:
    source.write(points(1), name="mine")
    with pytest.raises(StorageError, match="PlainStore takes no whole shards"):
        source.copy_to(Index(data_store=PlainStore(tmp_path)), "mine", shards=True)
