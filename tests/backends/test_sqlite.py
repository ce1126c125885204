"""The SQLite index: held to the contract of all, and what is peculiar to its file and disk."""

from __future__ import annotations

import os
import pickle
import re
import sqlite3
import stat
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.backends.processes import exit_code, in_child, leftovers, run

from atdata.errors import ConflictError, StorageError
from atdata.index.provider import ABSENT, Key, Put
from atdata.testing import IndexProviderTests
from atdata_sqlite.provider import SQLiteProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


class TestFile(IndexProviderTests):
    @pytest.fixture
    def options(self, path: Path) -> dict[str, Any]:
        return {"provider": "sqlite", "path": path}


class TestInMemory(IndexProviderTests):
    is_shared = False

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"provider": "sqlite"}


def test_an_index_that_is_closed_is_one_file(path: Path) -> None:
    with closing(SQLiteProvider(str(path))) as store:
        store.commit([Put(KEY, ONE)])
    assert leftovers(path) == []


def test_two_stores_in_memory_are_two() -> None:
    with closing(SQLiteProvider()) as left, closing(SQLiteProvider(":memory:")) as right:
        left.commit([Put(KEY, ONE)])
        assert right.scan("kind") == []


def test_people_can_query_the_bodies_with_sql(path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        store.commit([Put(KEY, ONE)])
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT kind, name, json_extract(body, '$.n') FROM atdata_records"
        assert connection.execute(query).fetchall() == [("kind", "name", 1)]


def test_a_tilde_in_the_path_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with closing(SQLiteProvider("~/a/index.db")) as store:
        assert store.path == tmp_path / "a" / "index.db"
    assert (tmp_path / "a" / "index.db").is_file()


@pytest.mark.parametrize("name", ["a b", "a?mode=ro", "a#b", "a%41", "é", "'", "file:a"])
def test_a_path_is_only_a_path(tmp_path: Path, name: str) -> None:
    SQLiteProvider(tmp_path / name).close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_c4_files_and_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = SQLiteProvider(tmp_path / "a" / "b" / "index.db")
        store.commit([Put(KEY, ONE)])
    finally:
        os.umask(old)
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in sorted((tmp_path / "a").rglob("*"))
    }
    assert modes == {
        "b": 0o700,
        "index.db": 0o600,
        "index.db-shm": 0o600,
        "index.db-wal": 0o600,
    }
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    store.close()


def test_c4_directories_that_exist_keep_their_modes(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SQLiteProvider(tmp_path / "index.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_is_pickled_as_its_path(path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        store.commit([Put(KEY, ONE)])
        with closing(pickle.loads(pickle.dumps(store))) as again:
            assert again.get(KEY) == ONE


def test_an_index_in_memory_is_not_pickled() -> None:
    with (
        closing(SQLiteProvider()) as store,
        pytest.raises(TypeError, match="give SQLiteProvider a path"),
    ):
        pickle.dumps(store)


def test_a_store_that_is_dropped_closes_its_file(path: Path) -> None:
    store = SQLiteProvider(path)
    store.commit([Put(KEY, ONE)])
    del store
    assert leftovers(path) == []


def test_a_conflict_holds_no_lock(path: Path) -> None:
    with closing(SQLiteProvider(path)) as left, closing(SQLiteProvider(path)) as right:
        left.commit([Put(KEY, ONE)])
        with pytest.raises(ConflictError):
            left.commit([Put(KEY, ONE, ABSENT)])
        start = time.monotonic()
        right.commit([Put(KEY, b"{}")])
        assert time.monotonic() - start < 20


def test_b10_a_directory_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no regular file"):
        SQLiteProvider(tmp_path)


def test_b10_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/index\.db"):
        SQLiteProvider(tmp_path / "file" / "index.db")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_b10_an_impossible_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        SQLiteProvider(tmp_path / name)


OPEN_AS_NOBODY = """
import os, sys
from atdata.errors import StorageError
from atdata_sqlite.provider import SQLiteProvider
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    SQLiteProvider("index.db")
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("locked", ["index.db", "."])
def test_b10_what_is_read_only_is_refused_when_it_is_opened(locked: str) -> None:
    # Not pytest's directory, which only root could enter where root runs the tests.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        SQLiteProvider(directory / "index.db").close()
        directory.chmod(0o777)
        (directory / "index.db").chmod(0o666)
        (directory / locked).chmod(0o555)
        output = run(OPEN_AS_NOBODY, directory)
        directory.chmod(0o700)
    assert f"{directory / locked} is read-only" in output


FILL = """
import resource, signal, sys
from atdata.errors import StorageError
from atdata.index.provider import Key, Put
from atdata_sqlite.provider import SQLiteProvider

store = SQLiteProvider(sys.argv[1])
store.commit([Put(Key("k", "before", ""), b"{}")])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    store.commit(Put(Key("k", f"{n}", ""), b'{"pad":"%s"}' % (b"x" * 9000)) for n in range(100))
except StorageError as error:
    print(error)
assert [key.name for key, _ in store.scan("k")] == ["before"]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.commit([Put(Key("k", "behind", ""), b"{}")])
store.close()
"""


def test_w5_a_full_disk_is_an_error_that_changes_nothing(path: Path) -> None:
    assert str(path) in run(FILL, path)
    with closing(SQLiteProvider(path)) as store:
        assert [key.name for key, _ in store.scan("k")] == ["before", "behind"]


def test_a_file_that_was_deleted_is_not_made_again_by_a_child(path: Path) -> None:
    store = SQLiteProvider(path)
    path.unlink()

    def fails() -> bool:
        with pytest.raises(StorageError, match=re.escape(str(path))):
            store.get(KEY)
        return True

    assert exit_code(in_child(fails)) == 0
    assert not path.exists()
    store.close()
