"""What data says reaches neither terminal nor markup as anything but text."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.core.cli.conftest import COMMAND, Note, Run

from atdata.index import Index

HOSTILE = "\x1b[31mred\x1b]0;title\x07 [bold]loud[/bold] :smile: \u202etxt\u2028 a\tb\nc \x9b2J"
ESCAPED = r"\x1b[31mred\x1b]0;title\x07 [bold]loud[/bold] :smile: \u202etxt\u2028 a\tb\nc \x9b2J"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.db"
    with Index(path=path) as index:
        note = Note(HOSTILE, np.zeros(1, np.float32), b"")
        index.write([note], name="h", metadata={HOSTILE: HOSTILE})
        index.publish_schema(Note, version="2.0.0", description=HOSTILE)
    return path


def on_terminal(*arguments: object, columns: int = 300) -> str:
    """Run a command whose output is a terminal, and return what reached it."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=slave, stderr=slave, env=environment
    ) as child:
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 1 << 16):
                seen += chunk
        except OSError:
            # Linux says so when the other end is closed.
            pass
        finally:
            os.close(master)
    assert child.returncode == 0, seen
    return seen.decode()


@pytest.mark.parametrize(
    "arguments", [["head", "h"], ["show", "h"], ["schema", "show", "Note@2.0.0"]]
)
def test_hostile_text_is_escaped_everywhere(run: Run, hostile: Path, arguments: list[str]) -> None:
    piped = run("--index", hostile, *arguments).stdout
    shown = on_terminal("--index", hostile, *arguments)
    for seen in (piped, shown):
        assert "\x1b[31m" not in seen
        assert not {"\x07", "\x9b", "\u202e", "\u2028"} & set(seen)
        assert "red" in seen
    assert "\x1b" not in piped
    if arguments[0] != "show":
        assert ESCAPED in piped
        assert ESCAPED in shown


def test_an_error_quotes_hostile_text_escaped(run: Run) -> None:
    done = run("show", "\x1b[31mx")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert r"\x1b[31mx" in done.stderr


def test_names_that_the_encoding_lacks_are_escaped(run: Run, tmp_path: Path) -> None:
    with Index(path=tmp_path / "x.db") as index:
        index.write([Note("a", np.zeros(1, np.float32), b"")], name="größe")
    done = run("--index", tmp_path / "x.db", "ls", PYTHONIOENCODING="ascii")
    assert r"gr\xf6\xdfe" in done.stdout


def test_a_terminal_gets_tables_that_lose_nothing(database: Path, shards: list[Path]) -> None:
    shown = on_terminal("--index", database, "show", "notes")
    assert "─────" in shown
    assert all(str(shard) in shown for shard in shards)


@pytest.mark.parametrize("columns", [80, 20])
def test_a_narrow_terminal_breaks_text_and_no_number(tmp_path: Path, columns: int) -> None:
    name = "a-name-that-is-longer-than-its-column"
    with Index(path=tmp_path / "x.db") as index:
        note = Note("a", np.zeros(300_000, np.float32), b"")
        size = index.write([note], name=name).shards[0].bytes  # type: ignore[index]
    lines = on_terminal("--index", tmp_path / "x.db", "ls", columns=columns).splitlines()
    first = lines[2].split()
    assert str(size) in first
    # What is left of the name goes on at the beginning of the lines below.
    assert "".join([first[0], *(line.split(" ")[0] for line in lines[3:])]) == name


def test_a_pipe_gets_plain_lines_however_wide(run: Run, database: Path, shards: list[Path]) -> None:
    seen = run("--index", database, "show", "notes", COLUMNS="20", FORCE_COLOR="1").stdout
    assert "\x1b" not in seen
    assert all(str(shard) in seen for shard in shards)
