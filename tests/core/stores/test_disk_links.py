"""``LocalDiskStore`` in a folder where others may write: no link there is followed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items
from tests.shard_files import shard_bytes

from atdata import Dataset, Index, LocalDiskStore, load_dataset
from atdata.errors import AtdataError, InvalidNameError, StorageError
from atdata.stores import Leftover

THEIRS = b"theirs"


@pytest.fixture
def store(tmp_path: Path) -> LocalDiskStore:
    return LocalDiskStore(tmp_path / "root")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "x.tar").write_bytes(THEIRS)
    return folder


def put(store: LocalDiskStore, name: str, data: bytes = b"data") -> str:
    with store.spool() as file:
        file.write(data)
        return store.put(name, file)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# What a link is put in place of, and what it leads to, from the root.
LINKS = {
    "a folder outside": ("mine", "../outside"),
    "a folder inside": ("mine", "real"),
    "a folder midway": ("mine", "real/mine"),
    "nothing": ("mine", "../nothing"),
    "itself": ("mine", "mine"),
    "a file outside": ("mine/x.tar", "../../outside/x.tar"),
    "a file inside": ("mine/x.tar", "../real/x.tar"),
    "no file": ("mine/x.tar", "../../outside/new.tar"),
}


@pytest.mark.parametrize(("name", "target"), LINKS.values(), ids=LINKS)
def test_a_link_is_neither_written_through_nor_read_nor_removed(
    store: LocalDiskStore, outside: Path, name: str, target: str
) -> None:
    kept = [put(store, "real/mine/x.tar"), put(store, "real/x.tar")]
    link = store.root / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    url = str(store.root / "mine" / "x.tar")
    for act in (store.open, store.delete, store.create_source([url]).open_shard):
        with pytest.raises(InvalidNameError, match=r"leads out of the store: .*mine.* is a link"):
            act(url)
    with pytest.raises(InvalidNameError, match="is a link"):
        put(store, "mine/x.tar")
    assert list(store.list()) == kept
    assert list(store.list("mine/")) == []
    assert link.is_symlink()
    assert contents(outside) == {"x.tar": THEIRS}


def test_the_root_may_be_a_link_that_the_caller_named(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "here").symlink_to(outside)
    store = LocalDiskStore(tmp_path / "here")
    url = put(store, "mine/a.tar", shard_bytes(items(2)))
    assert url == str(outside / "mine" / "a.tar")
    # By whichever of the two ways it is asked for.
    for way in (url, str(tmp_path / "here" / "mine" / "a.tar")):
        assert list(Dataset[Item](store.create_source([way]))) == items(2)
        with store.open(way, 3) as stream:
            assert stream.read() == shard_bytes(items(2))[3:]
    store.delete(str(tmp_path / "here" / "mine" / "a.tar"))
    assert list(store.list("mine/")) == []


def test_a_root_that_moved_behind_a_link_is_found_by_its_old_urls(tmp_path: Path) -> None:
    url = put(LocalDiskStore(tmp_path / "old"), "a.tar", shard_bytes(items(2)))
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "old").symlink_to("new")
    store = LocalDiskStore(tmp_path / "old")
    assert store.root == tmp_path / "new"
    assert list(Dataset[Item](store.create_source([url]))) == items(2)
    store.delete(url)


def test_what_an_index_loads_from_its_own_store_follows_no_link(
    tmp_path: Path, outside: Path
) -> None:
    for index in (
        Index(path=tmp_path / "one" / "index.db"),
        Index(path=tmp_path / "two" / "index.db", data_store=LocalDiskStore(tmp_path / "store")),
    ):
        [url] = index.write(items(3), name="mine").data_urls
        assert list(load_dataset("@local/mine", Item, index=index, split="train")) == items(3)
        (outside / "same.tar").write_bytes(Path(url).read_bytes())
        Path(url).unlink()
        Path(url).symlink_to(outside / "same.tar")
        with pytest.raises(InvalidNameError, match="is a link"):
            list(load_dataset("@local/mine", Item, index=index, split="train"))
        index.close()


def test_a_source_of_a_store_is_a_value_that_others_can_have(
    store: LocalDiskStore, outside: Path
) -> None:
    url = put(store, "a.tar", shard_bytes(items(2)))
    source = store.create_source([url])
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source == store.create_source([url])
    assert hash(copy) == hash(source)
    assert source != LocalDiskStore(outside).create_source([url])
    assert list(Dataset[Item](copy)) == items(2)
    Path(url).unlink()
    Path(url).symlink_to(outside / "x.tar")
    with pytest.raises(InvalidNameError, match="is a link"):
        copy.open_shard(url)


def test_shards_outside_the_root_are_read_as_everywhere_else(
    store: LocalDiskStore, outside: Path
) -> None:
    (outside / "link.tar").symlink_to("x.tar")
    url = str(outside / "link.tar")
    with store.create_source([url]).open_shard(url) as stream:
        assert stream.read() == THEIRS


def test_what_is_not_a_file_is_never_waited_for(store: LocalDiskStore) -> None:
    put(store, "a.tar")
    os.mkfifo(pipe := store.root / "pipe.tar")
    (store.root / "folder.tar").mkdir()
    for path in (pipe, store.root / "folder.tar"):
        with pytest.raises(StorageError, match="is not a file"):
            store.open(str(path))
    assert [Path(url).name for url in store.list()] == ["a.tar"]


def test_a_spool_that_is_a_link_is_refused(store: LocalDiskStore, outside: Path) -> None:
    store.root.mkdir()
    (store.root / ".spool").symlink_to(outside)
    (outside / "old.tmp").touch()
    left = Leftover("spool", str(store.root / ".spool" / "old.tmp"))
    for act in (store.spool, store.identify, lambda: [*store.abandoned()]):
        with pytest.raises(InvalidNameError, match="is a link"):
            act()
    with pytest.raises(InvalidNameError, match="is a link"):
        store.remove(left)
    assert sorted(contents(outside)) == ["old.tmp", "x.tar"]


def test_links_among_the_spooled_files_are_left_alone(store: LocalDiskStore, outside: Path) -> None:
    with store.spool():
        pass
    link = store.root / ".spool" / "a.tmp"
    link.symlink_to(outside / "x.tar")
    assert list(store.abandoned()) == []
    with pytest.raises(InvalidNameError, match="is a link"):
        store.remove(Leftover("spool", str(link)))
    assert contents(outside) == {"x.tar": THEIRS}


@pytest.mark.parametrize("other", [b"a secret", b"", b"0" * 33])
def test_no_other_file_passes_for_the_mark_of_a_store(
    store: LocalDiskStore, outside: Path, other: bytes
) -> None:
    """What it says goes into indexes."""
    with store.spool():
        pass
    mark = store.root / ".spool" / "mark"
    mark.write_bytes(other)
    with pytest.raises(StorageError, match=r"mark is not what atdata writes; remove it"):
        store.identify()
    mark.unlink()
    mark.symlink_to(outside / "x.tar")
    with pytest.raises(InvalidNameError, match="is a link"):
        store.identify()
    mark.unlink()
    assert store.identify() == store.identify()


@pytest.mark.parametrize("theirs", [b"theirs", None])
def test_a_file_put_in_place_of_a_spooled_one_is_not_stored(
    store: LocalDiskStore, outside: Path, theirs: bytes | None
) -> None:
    with store.spool() as file:
        file.write(b"data")
        spooled = Path(file.name)
        spooled.unlink()
        spooled.symlink_to(outside / "x.tar") if theirs is None else spooled.write_bytes(theirs)
        with pytest.raises((StorageError, InvalidNameError), match=r"another file|is a link"):
            store.put("a.tar", file)
    assert list(store.list()) == []
    assert contents(outside) == {"x.tar": THEIRS}


SWAP = """
import os, sys
real, hidden, link, target = sys.argv[1:]
print("begun", flush=True)
while True:
    try:
        os.rename(real, hidden)
        os.symlink(target, link)
        os.unlink(link)
        os.rename(hidden, real)
    except FileNotFoundError:
        # Not made yet, or removed by the store.
        pass
    except OSError:
        # Made again by the store meanwhile; what was hidden stays so.
        for name in (link, hidden):
            if os.path.islink(name):
                os.unlink(name)
"""


@contextmanager
def swapping(path: Path, target: Path) -> Iterator[None]:
    """Have another process put a link in place of a file or folder, and take it away, for ever."""
    names = [str(path), f"{path}.hidden", str(path), str(target)]
    command = [sys.executable, "-S", "-c", SWAP, *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            yield
        finally:
            process.kill()


def use(store: LocalDiskStore, number: int) -> None:
    """Write, read, list and delete a shard, of which each may be refused."""
    url = str(store.root / "mine" / "x.tar")
    acts: list[Callable[[], Any]] = [
        lambda: put(store, f"mine/new-{number}.tar"),
        lambda: put(store, "mine/x.tar"),
        lambda: read(store.open(url)),
        lambda: read(store.create_source([url]).open_shard(url)),
        lambda: check_listed(store),
        lambda: store.delete(url),
    ]
    for act in acts:
        with suppress(AtdataError):
            act()


def read(stream: Any) -> None:
    with stream:
        assert stream.read() == b"data"


def check_listed(store: LocalDiskStore) -> None:
    assert not any("secret" in url for url in store.list("mine/"))


@pytest.mark.parametrize("what", ["a folder", "a file", "the spool"])
@pytest.mark.parametrize(
    "rounds", [100, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_links_that_come_and_go_lead_nowhere(
    store: LocalDiskStore, outside: Path, what: str, rounds: int
) -> None:
    (outside / "secret.tar").write_bytes(THEIRS)
    (outside / "mark").write_bytes(THEIRS)
    put(store, "mine/x.tar")
    name, target = {
        "a folder": ("mine", outside),
        "a file": ("mine/x.tar", outside / "x.tar"),
        "the spool": (".spool", outside),
    }[what]
    before = contents(outside)
    with swapping(store.root / name, target):
        for number in range(rounds):
            use(store, number)
    assert contents(outside) == before
