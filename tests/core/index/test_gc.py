"""What killed writers leave, told from what others are just writing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from tests.core.index.kinds import Note, PlainStore, files, notes

from atdata import Dataset, Index, LocalDiskStore, load_dataset
from atdata.errors import ConflictError, StorageError, UnreadableRecordWarning
from atdata.index import Key
from atdata.index.known_writes import WRITE, KnownWrite, known_writes
from atdata.index.provider import Put

WRITER = """
import os, sys
from atdata import Index, LocalDiskStore
from tests.core.index.kinds import notes

def killed():
    yield from notes(*"abc")
    os.kill(os.getpid(), 9)

index = Index(path=sys.argv[1], data_store=LocalDiskStore(sys.argv[2]))
index.write({"train": notes(*"xy"), "test": killed()}, name="mine", maxcount=1)
"""

UNREADABLE_WRITES: dict[str, dict[str, Any]] = {
    "no time": {"seen": None},
    "a time without offset": {"seen": "2020-01-01"},
    "a store that is a number": {"store": 5},
    "a prefix that is a list": {"prefix": ["p"]},
    "a prefix that no key holds": {"prefix": "p" * 2000},
    "a process that is text": {"process": "x"},
    "a process without number": {"process": {"place": "here", "start": "1"}},
    "a process of a huge number": {"process": {"place": "here", "start": "1", "pid": 2**70}},
    "a process that is everybody": {"process": {"place": "here", "start": "1", "pid": -1}},
}


@pytest.fixture
def store(tmp_path: Path) -> LocalDiskStore:
    return LocalDiskStore(tmp_path / "shards")


@pytest.fixture
def index(tmp_path: Path, store: LocalDiskStore) -> Iterator[Index]:
    with Index(path=tmp_path / "index.db", data_store=store) as made:
        yield made


def kill_writer(index_path: Path, root: Path) -> None:
    """Let a process die at the fourth sample of its second split."""
    command = [sys.executable, "-c", WRITER, str(index_path), str(root)]
    assert subprocess.run(command, check=False).returncode == -9


def writes(index: Index) -> list[KnownWrite]:
    return known_writes(index.provider)


def move_elsewhere(index: Index, silent: timedelta) -> None:
    """Make the only write look like one of another machine, last heard of that long ago."""
    (write,) = writes(index)
    seen = (datetime.now(UTC) - silent).isoformat()
    process = {"place": "another machine", "pid": 1, "start": "1"}
    body = json.dumps({**write.record, "process": process, "seen": seen}).encode()
    index.provider.commit([Put(Key(WRITE, write.token, ""), body)])


def test_leftovers_of_a_killed_writer_are_listed_and_then_removed(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    index.write(notes("kept"), name="mine")
    before = files(store.root)
    kill_writer(tmp_path / "index.db", store.root)
    left = sorted(str(path) for path in files(store.root) if path not in before)
    assert len(left) == 5
    assert sorted(one.url for one in index.find_leftovers().found) == left
    assert sorted(one.url for one in index.delete_leftovers().found) == left
    assert files(store.root) == before
    assert [s.text for s in load_dataset("@local/mine", split="train", index=index)] == ["kept"]


def test_removing_twice_removes_nothing_more_and_forgets_the_write(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    index.delete_leftovers()
    assert index.delete_leftovers().found == []
    assert writes(index) == []


def test_listing_changes_nothing(index: Index, store: LocalDiskStore, tmp_path: Path) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    before = files(store.root), index.provider.scan(WRITE)
    assert index.find_leftovers() == index.find_leftovers()
    assert (files(store.root), index.provider.scan(WRITE)) == before


def test_what_a_live_writer_has_put_is_left_alone(index: Index) -> None:
    def samples() -> Iterator[Note]:
        yield from notes("a", "b")
        seen = index.delete_leftovers()
        assert (seen.found, seen.at_work) == ([], 1)
        yield from notes("c")

    index.write(samples(), name="mine", maxcount=1)
    texts = [s.text for s in load_dataset("@local/mine", split="train", index=index)]
    assert texts == ["a", "b", "c"]
    assert index.find_leftovers().at_work == 0


def test_a_finished_or_failed_write_leaves_no_record(index: Index) -> None:
    def broken() -> Iterator[Note]:
        yield from notes("a", "b")
        raise RuntimeError

    index.write(notes("a"), name="mine")
    with pytest.raises(RuntimeError):
        index.write(broken(), name="mine", maxcount=1)
    assert index.provider.scan(WRITE) == []


def test_a_writer_elsewhere_is_dead_after_a_long_silence_only(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    move_elsewhere(index, timedelta(hours=23))
    shards = list(store.list())
    assert [one.kind for one in index.delete_leftovers().found] == ["spool"]
    assert list(store.list()) == shards
    found = index.delete_leftovers(older_than=timedelta(hours=22)).found
    assert [one.url for one in found] == shards


def test_a_writer_that_was_given_up_in_error_is_refused_and_its_dataset_is_not_there(
    index: Index, store: LocalDiskStore
) -> None:
    def samples() -> Iterator[Note]:
        yield from notes("a", "b")
        move_elsewhere(index, timedelta(days=2))
        assert len(index.delete_leftovers().found) == 1
        yield from notes("c")

    with pytest.raises(ConflictError, match=r"given up.*do it again"):
        index.write(samples(), name="mine", maxcount=1)
    assert index.list_datasets() == []
    assert files(store.root) == []
    index.delete_leftovers()
    assert writes(index) == []


def test_a_long_write_says_that_it_lives(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atdata.index.pending.BEAT_SECONDS", 0)
    first: list[datetime] = []

    def samples() -> Iterator[Note]:
        for text in "abc":
            yield Note(text=text)
            first.append(writes(index)[0].seen)

    index.write(samples(), name="mine")
    assert first == sorted(set(first))
    assert index.provider.scan(WRITE) == []


def test_shards_of_other_indexes_and_of_no_index_are_left_alone(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "other.db", store.root)
    store.write_shards(Dataset[Note](index.write(notes("a"), name="a").data_urls), prefix="loose")
    before = list(store.list())
    assert [one.kind for one in index.delete_leftovers().found] == ["spool"]
    assert list(store.list()) == before


def test_shards_that_an_entry_names_in_any_way_stay(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    train = [url for url in store.list() if "/train/" in url]
    stem = train[0].removesuffix("000000.tar")
    index.add_entry(Dataset[Note](f"{stem}{{000000..000001}}.tar"), name="rescued")
    index.write(notes("b"), name="rescued")
    index.delete_leftovers()
    assert set(train) < set(store.list())
    assert not any("/test/" in url for url in store.list())


def test_shards_of_deleted_datasets_stay(index: Index, store: LocalDiskStore) -> None:
    urls = index.write(notes("a"), name="mine").data_urls
    index.delete("mine")
    assert index.delete_leftovers().found == []
    assert list(store.list()) == urls


def test_another_store_is_named_and_its_writes_are_not_forgotten(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    with Index(path=tmp_path / "index.db", data_store=LocalDiskStore(tmp_path / "b")) as other:
        for _ in range(2):
            seen = other.delete_leftovers()
            assert (seen.found, seen.elsewhere) == ([], [store.identify()])
    assert len(index.find_leftovers().found) == 5


def test_a_folder_of_the_same_path_elsewhere_is_another_store(tmp_path: Path) -> None:
    here = LocalDiskStore(tmp_path / "data")
    mark = here.identify()
    assert LocalDiskStore(tmp_path / "data").identify() == mark
    (tmp_path / "data").rename(tmp_path / "moved")
    assert here.identify() != mark


def test_a_store_that_is_not_ours_is_said_to_be_none(tmp_path: Path) -> None:
    index = Index(data_store=PlainStore(tmp_path))
    with pytest.raises(StorageError, match="PlainStore cannot list"):
        index.delete_leftovers()


def test_too_short_a_silence_is_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="an hour"):
        index.delete_leftovers(older_than=timedelta(minutes=59))


def forge(index: Index, token: str, **record: Any) -> None:
    """Put the record of a write that was begun long ago and elsewhere."""
    body = {"process": None, "seen": "2020-01-01T00:00:00+00:00", **record}
    index.provider.commit([Put(Key(WRITE, token, ""), json.dumps(body).encode())])


def token_in(url: str) -> str:
    return url.rpartition("/")[2].split("--")[1]


def test_a_record_without_the_secret_of_a_token_removes_nothing(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    """Whoever may write to this index knows tokens of another one from the names of its shards."""
    with Index(path=tmp_path / "other.db", data_store=store) as other:
        urls = other.write(notes("a"), name="others/valuable").data_urls
    place = {"store": store.identify(), "prefix": "others/valuable"}
    for secret in ({}, {"secret": None}, {"secret": "0" * 32}, {"secret": token_in(urls[0])}):
        forge(index, token_in(urls[0]), **place, **secret)
        for seen in (index.find_leftovers(), index.delete_leftovers(), index.delete_leftovers()):
            assert seen.found == []
            assert [one.url for one in seen.unproven] == urls
    assert list(store.list()) == urls


def test_a_secret_proves_its_token_at_its_own_place_only(index: Index) -> None:
    def samples() -> Iterator[Note]:
        yield from notes("a")
        (write,) = writes(index)
        assert write.is_proven
        for part in ("store", "prefix", "secret"):
            changed = replace(write, record={**write.record, part: f"{write.record[part]}x"})
            assert not changed.is_proven
        yield from notes("b")

    index.write(samples(), name="mine", maxcount=1)


def test_an_unproven_write_that_left_nothing_is_forgotten(
    index: Index, store: LocalDiskStore
) -> None:
    forge(index, "0123456789ab", store=store.identify(), prefix="mine")
    for _ in range(2):
        index.delete_leftovers()
    assert writes(index) == []


def test_a_copy_does_not_take_up_what_a_record_cannot_prove(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    with Index(path=tmp_path / "other.db", data_store=LocalDiskStore(tmp_path / "b")) as other:
        other.write(notes("a"), name="mine")
        theirs = store.write_samples(notes("b"), prefix="mine")[0].url
        found: list[dict[str, Any]] = []

        class Watched(LocalDiskStore):
            def put(self, name: str, shard: IO[bytes]) -> str:
                found.extend(write.record for write in writes(index))
                return super().put(name, shard)

        watched = Watched(store.root)
        with Index(path=tmp_path / "index.db", data_store=watched) as target:
            target.copy_from(other, "mine", shards=True)
            target.delete("mine")
            silent = {"process": None, "seen": "2020-01-01T00:00:00+00:00", "secret": "x"}
            forge(target, token_in(theirs), **{**found[0], **silent})
            copy = target.copy_from(other, "mine", shards=True)
    assert theirs not in copy.data_urls


@pytest.mark.parametrize("body", UNREADABLE_WRITES.values(), ids=UNREADABLE_WRITES)
def test_a_write_that_cannot_be_read_is_passed_over_and_reported(
    index: Index, store: LocalDiskStore, tmp_path: Path, body: dict[str, Any]
) -> None:
    place = {"store": "s", "prefix": "p", "seen": "2020-01-01T00:00:00+00:00"}
    index.provider.commit([Put(Key(WRITE, "t", ""), json.dumps({**place, **body}).encode())])
    kill_writer(tmp_path / "index.db", store.root)
    with pytest.warns(UnreadableRecordWarning, match=r"write/t/ .* cannot be read"):
        assert index.find_leftovers().unreadable == ["write/t/"]
    # Once in a process.
    assert len(index.delete_leftovers().found) == 5
    assert [write.token for write in writes(index)] != ["t"]


def test_a_heartbeat_that_cannot_be_read_does_not_hide_its_write(
    index: Index, store: LocalDiskStore, tmp_path: Path
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    (write,) = writes(index)
    index.provider.commit([Put(Key(WRITE, write.token, "seen"), b'{"seen": 5}')])
    with pytest.warns(UnreadableRecordWarning, match="seen"):
        assert len(index.delete_leftovers().found) == 5


@pytest.mark.parametrize("kind", ["dataset", "revision"])
@pytest.mark.parametrize(
    "form",
    ['{{"name": 5, "data_urls": ["{url}"]}}', '{{"x": "{escaped}"}}', '{{"data_urls": "{url}"}}'],
    ids=["urls", "escapes", "text"],
)
def test_what_a_record_that_cannot_be_read_may_name_stays(
    index: Index, store: LocalDiskStore, tmp_path: Path, kind: str, form: str
) -> None:
    kill_writer(tmp_path / "index.db", store.root)
    shards = list(store.list())
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in shards[0])
    body = form.format(url=shards[0], escaped=escaped)
    index.provider.commit(
        [Put(Key(kind, "odd", "00000001"[: 8 * (kind != "dataset")]), body.encode())]
    )
    with pytest.warns(UnreadableRecordWarning, match=f"{kind}/odd/"):
        seen = index.delete_leftovers()
    assert [one.kind for one in seen.found] == ["spool"]
    assert list(store.list()) == shards


def test_a_write_that_cannot_be_said_to_have_begun_writes_nothing(tmp_path: Path) -> None:
    class ReadError(Exception):
        pass

    def never() -> Iterator[Any]:
        raise ReadError
        yield

    index = Index(path=tmp_path / "index.db", data_store=LocalDiskStore(tmp_path / "shards"))
    index.close()
    with pytest.raises(StorageError, match="closed"):
        index.write(never(), name="mine")


@pytest.mark.parametrize(
    "prefix", ["../shards/mine", "/etc", "a\0b/c", "linked/", "none/x", "{a}/"]
)
def test_p1_no_prefix_lists_what_is_not_below_the_root(
    store: LocalDiskStore, tmp_path: Path, prefix: str
) -> None:
    outside = LocalDiskStore(tmp_path / "outside")
    for one in (store, outside):
        one.write_samples(notes("a"), prefix="mine")
    (store.root / "linked").symlink_to(outside.root)
    assert list(store.list(prefix)) == []
    assert len(list(store.list("mine/data"))) == 1
