"""Other processes and other hands, for the tests of index files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.fresh import Script

from atdata_sqlite.provider import SQLiteProvider

APPEND = """
import json, sys
from atdata.errors import ConflictError
from atdata.index.provider import ABSENT, Key, Put
from atdata_sqlite.provider import SQLiteProvider

path, writer, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = SQLiteProvider(path)
for number in range(count):
    while True:
        last = store.scan("k", "n", reverse=True, limit=1)
        version = int(last[0][0].version) + 1 if last else 1
        body = json.dumps({"writer": writer, "number": number}).encode()
        try:
            store.commit([Put(Key("k", "n", f"{version:08d}"), body, ABSENT)])
        except ConflictError:
            continue
        break
"""


def run(script: str, *args: object) -> str:
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def append_from_processes(path: Path, processes: int, count: int) -> None:
    """Let processes that have all started append versions of one name, as writers do."""
    writers = [Script(APPEND, path, writer, count) for writer in range(processes)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * processes


def check_appended(path: Path, total: int) -> None:
    with closing(SQLiteProvider(path)) as store:
        rows = store.scan("k", "n")
    assert [int(key.version) for key, _ in rows] == list(range(1, total + 1))
    assert len({body for _, body in rows}) == total


def in_child(act: Callable[[], bool]) -> int:
    """Fork, and return the child, which ends with 0 if ``act`` is true there."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if act() else 2
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    """Wait for a child."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def leftovers(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if file != path)


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
