"""``LocalDiskStore`` on file systems without hard links: shards still appear whole or not."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.sample_types import Item, items

from atdata import Dataset, LocalDiskStore
from atdata.errors import ConflictError, InvalidNameError, StorageError


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, None], ids=["EPERM", "ENOTSUP", "no call"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LocalDiskStore:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param is None:
        monkeypatch.delattr(os, "link")
    else:
        monkeypatch.setattr(os, "link", refuse)
    return LocalDiskStore(tmp_path / "root")


def put(store: LocalDiskStore, name: str, data: bytes = b"data") -> str:
    with store.spool() as file:
        file.write(data)
        return store.put(name, file)


def test_shards_are_written_and_read(store: LocalDiskStore) -> None:
    [shard] = store.write_samples(items(3), prefix="mine")
    assert list(Dataset[Item](shard.url)) == items(3)
    assert list(store.list()) == [shard.url]
    assert list(store.abandoned()) == []
    assert store.identify() == store.identify()


def test_a_name_that_is_taken_stays_what_it_is(store: LocalDiskStore, tmp_path: Path) -> None:
    url = put(store, "a.tar", b"first")
    with pytest.raises(ConflictError, match=r"a\.tar"):
        put(store, "a.tar", b"second")
    (store.root / "link.tar").symlink_to(tmp_path / "theirs.tar")
    with pytest.raises(InvalidNameError, match="is a link"):
        put(store, "link.tar")
    assert Path(url).read_bytes() == b"first"
    assert not (tmp_path / "theirs.tar").exists()


def test_of_many_writers_of_a_name_one_has_it(store: LocalDiskStore) -> None:
    def wins(number: int) -> bool:
        try:
            put(store, "a.tar", b"%d" % number)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            won = list(pool.map(wins, range(8)))
            assert won.count(True) == 1
            assert (store.root / "a.tar").read_bytes() == b"%d" % won.index(True)
            store.delete(str(store.root / "a.tar"))


def test_other_failures_are_not_taken_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "link", fail)
    store = LocalDiskStore(tmp_path / "root")
    with pytest.raises(StorageError, match="quota"):
        put(store, "a.tar")
    assert list(store.list()) == []
