"""``atdata gc``: leftovers of killed writers, listed and removed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.core.cli.conftest import Run

KILLED = """
import os, sys
from atdata import Index
from tests.core.cli.conftest import Note
import numpy as np

def samples():
    for n in range(3):
        yield Note(str(n), np.zeros(1, np.float32), b"")
    os.kill(os.getpid(), 9)

Index(path=sys.argv[1]).write(samples(), name="killed", maxcount=1)
"""


@pytest.fixture
def left(database: Path) -> list[str]:
    """Let a writer be killed, and return what it has left."""
    before = set(database.parent.rglob("*.t?[rp]"))
    assert subprocess.run([sys.executable, "-c", KILLED, database], check=False).returncode == -9
    return sorted(map(str, set(database.parent.rglob("*.t?[rp]")) - before))


def test_leftovers_are_listed_and_then_removed(run: Run, database: Path, left: list[str]) -> None:
    listed = run("--index", database, "gc", "--dry-run")
    assert listed.stdout.splitlines()[0] == "kind\turl"
    rows = [line.split("\t") for line in listed.stdout.splitlines()[1:]]
    assert sorted(url for _, url in rows) == left
    assert [kind for kind, _ in rows] == ["shard", "shard", "spool"]
    assert run("--index", database, "gc").stdout == listed.stdout
    assert not any(Path(url).exists() for url in left)
    done = run("--index", f"sqlite:///{database}", "gc")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "atdata: there are no leftovers\n"
    assert run("--index", database, "verify", "notes").returncode == 0


def test_json_says_whether_anything_was_removed(run: Run, database: Path, left: list[str]) -> None:
    found = json.loads(run("--index", database, "gc", "--dry-run", "--json").stdout)
    assert (found["removed"], len(found["found"]), found["at_work"]) == (False, 3, 0)
    removed = json.loads(run("--index", database, "gc", "--json").stdout)
    assert removed == {**found, "removed": True}


def test_another_store_is_pointed_to(
    run: Run, database: Path, left: list[str], tmp_path: Path
) -> None:
    done = run("--index", database, "gc", "--store", tmp_path / "other")
    assert done.stdout == ""
    assert f"killed writers also wrote to {database.parent / 'data'}#" in done.stderr


def test_what_a_record_does_not_prove_is_named_and_stays(
    run: Run, database: Path, left: list[str]
) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        change = (
            "UPDATE atdata_records SET body = replace(body, 'secret', 'x') WHERE kind = 'write'"
        )
        assert connection.execute(change).rowcount == 1
        connection.execute("INSERT INTO atdata_records VALUES ('dataset', 'odd', '', 'x')")
    done = run("--index", database, "gc")
    shards = [url for url in left if url.endswith(".tar")]
    assert done.returncode == 0
    assert all(
        f"{url} stays: the record of its unfinished write is" in done.stderr for url in shards
    )
    assert all(Path(url).exists() for url in shards)
    assert "the record dataset/odd/ of the index cannot be read" in done.stderr
    assert "1 records of the index cannot be read" in done.stderr
    listed = run("--index", database, "ls")
    assert (listed.returncode, "notes" in listed.stdout) == (0, True)
    assert "the record dataset/odd/ of the index cannot be read" in listed.stderr


@pytest.mark.parametrize("time", ["", "1", "d", "59m", "1y", "-1d", "1.5d"])
def test_a_time_that_is_none_is_refused(run: Run, database: Path, time: str) -> None:
    done = run("--index", database, "gc", f"--older-than={time}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "1h or more, such as 12h or 7d" in done.stderr
