"""One index file in many processes: opened, written, killed and forked at once."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.backends.processes import (
    append_from_processes,
    check_appended,
    exit_code,
    in_child,
)
from tests.fresh import Script

from atdata.index.provider import ABSENT, IndexProvider, Key, Put
from atdata_sqlite.provider import SQLiteProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'


WRITE_PAIRS = """
import sys
from atdata.index.provider import Key, Put
from atdata_sqlite.provider import SQLiteProvider

store = SQLiteProvider(sys.argv[1])
number = 0
while True:
    number += 1
    body = b'{"n":%d,"pad":"%s"}' % (number, b"x" * 20000)
    store.commit([Put(Key("k", f"{part}", ""), body) for part in range(5)])
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def test_k4_many_processes_open_a_fresh_file_at_once(path: Path) -> None:
    append_from_processes(path, 16, 1)
    check_appended(path, 16)


@pytest.mark.slow
def test_k1_many_processes_that_append_versions_lose_none(path: Path) -> None:
    append_from_processes(path, 8, 200)
    check_appended(path, 1600)


def _kill_writers(path: Path, rounds: int) -> None:
    chance = random.Random(rounds)
    for _ in range(rounds):
        writer = Script(WRITE_PAIRS, path)
        said = writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        writer.kill()
        said = (said + writer.communicate()[0]).rpartition("\n")[0].split()[-1]
        with closing(SQLiteProvider(path)) as store:
            numbers = {json.loads(body)["n"] for _, body in store.scan("k")}
        assert len(numbers) == 1
        assert numbers.pop() >= int(said)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_w3_a_killed_writer_leaves_whole_commits_only(path: Path) -> None:
    _kill_writers(path, 8)


@pytest.mark.slow
def test_w3_a_hundred_killed_writers_leave_whole_commits_only(path: Path) -> None:
    _kill_writers(path, 100)


def test_w3_a_process_killed_while_it_makes_the_file_is_no_obstacle(tmp_path: Path) -> None:
    chance = random.Random(1)
    for number in range(8):
        path = tmp_path / f"{number}.db"
        process = Script(WRITE_PAIRS, path)
        while not path.exists():
            assert process.poll() is None
        time.sleep(chance.uniform(0, 0.006))
        process.kill()
        process.communicate()
        with closing(SQLiteProvider(path)) as store:
            store.commit([Put(KEY, ONE)])


def _read_in_pages(store: IndexProvider) -> Iterator[Key]:
    after = None
    while page := store.scan("many", after=after, limit=10):
        yield from (key for key, _ in page)
        after = page[-1][0]


def test_k5_a_reader_in_the_middle_of_its_pages_does_not_stop_writers(path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        store.commit(Put(Key("many", f"{number:03d}", ""), ONE) for number in range(100))
        reader = _read_in_pages(store)
        seen = [next(reader) for _ in range(5)]
        append_from_processes(path, 3, 10)
        seen += reader
    assert [key.name for key in seen] == [f"{number:03d}" for number in range(100)]
    check_appended(path, 30)


HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(2)
connection.execute("COMMIT")
"""


def test_k5_a_commit_waits_for_another_writer_and_a_reader_does_not(path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        holder = Script(HOLD, path)
        assert holder.stdout.readline() == "held\n"
        assert store.scan("kind") == []
        with closing(SQLiteProvider(path)):
            assert holder.poll() is None, "reading and opening waited for the writer"
        store.commit([Put(KEY, ONE, ABSENT)])
        holder.communicate()
        assert holder.returncode == 0


def test_k5_the_log_stays_bounded(path: Path) -> None:
    with closing(SQLiteProvider(path)) as store:
        for number in range(300):
            body = b'{"n":%d,"pad":"%s"}' % (number, b"x" * 50_000)
            store.commit([Put(KEY, body)])
        assert path.with_name("index.db-wal").stat().st_size < 8_000_000


def test_f3_children_and_parent_go_on_after_a_fork(path: Path) -> None:
    store = SQLiteProvider(path)
    store.commit([Put(KEY, ONE)])

    def write(child: int) -> bool:
        for number in range(20):
            store.commit([Put(Key("f", f"{child}", f"{number:02d}"), ONE, ABSENT)])
        return store.get(KEY) == ONE

    children = [in_child(partial(write, child)) for child in range(6)]
    for number in range(20):
        store.commit([Put(Key("f", "parent", f"{number:02d}"), ONE, ABSENT)])
    store.close()
    assert [exit_code(child) for child in children] == [0] * 6
    with closing(SQLiteProvider(path)) as store:
        assert len(store.scan("f")) == 7 * 20
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_f3_a_fork_leaves_no_descriptor_of_the_file_in_the_child(path: Path) -> None:
    store = SQLiteProvider(path)
    store.commit([Put(KEY, ONE)])

    def has_none() -> bool:
        links = [Path(f"/dev/fd/{fd}").readlink() for fd in range(3, 64) if _is_open(fd)]
        return not any(str(path) in str(link) for link in links)

    assert exit_code(in_child(has_none)) == 0
    store.close()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_f7_opening_and_closing_leaks_no_descriptor(path: Path) -> None:
    SQLiteProvider(path).close()
    before = sum(map(_is_open, range(1024)))
    for _ in range(50):
        SQLiteProvider(path).close()
    assert sum(map(_is_open, range(1024))) == before
