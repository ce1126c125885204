"""What the commands print, and which exit codes they give."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.core.cli.conftest import COMMAND, Note, Run

import atdata
from atdata.index import Index
from atdata.stores import LocalDiskStore


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_the_version_is_told_without_loading_the_command_line() -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"atdata --version took {time.monotonic() - begun:.2f} s")
    assert done.stdout.startswith("atdata ")
    assert not {"typer", "rich", "sqlalchemy"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_its_extra_the_command_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from atdata.cli import main; exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "ls"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"atdata: {module} is not installed; pip install 'atdata-core[cli]'\n"


def test_alone_the_command_shows_its_help_with_the_exit_codes(run: Run) -> None:
    done = run()
    assert done.returncode == 0
    assert "Usage: atdata" in done.stdout
    assert "3 no such dataset" in done.stdout


def test_a_home_without_an_index_has_no_datasets_and_stays_as_it_is(run: Run) -> None:
    listed = run("ls")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert listed.stderr == "atdata: there are no datasets in this index yet\n"
    assert json.loads(run("ls", "--json").stdout) == []
    assert run("schema", "ls").returncode == 0
    assert run("show", "notes").returncode == 3
    assert not Path(os.environ["ATDATA_HOME"]).exists()


def test_the_default_index_is_the_one_in_the_home(run: Run) -> None:
    index = atdata.get_default_index()
    assert isinstance(index, Index)
    index.write([Note("a", np.zeros(1, np.float32), b"")], name="mine")
    assert [row[0] for row in rows(run("ls").stdout)] == ["name", "mine"]


def test_ls_lists_what_there_is(run: Run, database: Path) -> None:
    header, row = rows(run("--index", database, "ls").stdout)
    assert header == ["name", "revision", "samples", "shards", "bytes", "schema", "created"]
    assert row[:4] == ["notes", "1", "6", "3"]
    assert row[5] == "Note@1.0.0"
    (found,) = json.loads(run("ls", "--json", ATDATA_INDEX=str(database)).stdout)
    assert found["schema"] == "atdata://local/sampleSchema/Note@1.0.0"
    assert found["bytes"] == int(row[4])


def test_show_tells_everything_of_a_revision(run: Run, database: Path, shards: list[Path]) -> None:
    with Index(path=database, data_store=LocalDiskStore(database.parent / "data")) as index:
        first = index.get_dataset("notes")
        index.write([Note("a", np.zeros(1, np.float32), b"")], name="notes")
    told = json.loads(run("--index", database, "show", "notes@1", "--json").stdout)
    assert (told["revision"], told["cid"]) == (1, first.cid)
    assert told["metadata"] == {"author": "nobody"}
    assert [shard["url"] for shard in told["shard_list"]] == [str(shard) for shard in shards]
    assert [field["type"] for field in told["fields"]] == [
        "str",
        "NDArray[float32]",
        "bytes",
        "float",
    ]
    assert [past["revision"] for past in told["history"]] == [2, 1]
    text = run("--index", database, "show", "notes").stdout
    assert text.startswith("name\tnotes\nrevision\t2\n")


def test_a_dataset_that_was_only_registered_is_shown_without_counts(
    run: Run, database: Path
) -> None:
    with Index(path=database) as index:
        where = atdata.Dataset("https://example.org/x-{0..3}.tar")
        index.add_entry(where, name="far", schema_ref="atdata://did:plc:abc/schema/X@1.0.0")
    assert rows(run("--index", database, "ls").stdout)[1][:5] == ["far", "1", "-", "-", "-"]
    shown = run("--index", database, "show", "far")
    assert shown.returncode == 0
    assert "schema_problem\t" in shown.stdout
    assert "https://example.org/x-{0..3}.tar" in shown.stdout


def test_head_shows_the_first_samples_of_a_split(run: Run, database: Path) -> None:
    header, first, _second = rows(run("--index", database, "head", "notes", "-n", 2).stdout)
    assert header == ["text", "values", "raw", "weight"]
    assert first == ["note 0", "float32[2, 1]", "3 bytes", "0.0"]
    told = run("--index", database, "head", "notes", "--split", "test", "--json").stdout
    assert [one["values"]["shape"] for one in json.loads(told)["samples"]] == [[2, 5], [2, 6]]


@pytest.mark.parametrize("pattern", ["{0}", "{0.parent}/*.tar", "file://{0}", "{0.parent}/"])
def test_head_shows_files_without_an_index(run: Run, shards: list[Path], pattern: str) -> None:
    done = run("head", pattern.format(shards[0]), "-n", 1, "--json")
    told = json.loads(done.stdout)
    assert told["type"] == "DictSample"
    assert told["samples"][0]["values"] == {"dtype": "float32", "shape": [2, 1]}


def test_numbers_that_json_has_not_are_written_as_text(run: Run, tmp_path: Path) -> None:
    with Index(path=tmp_path / "x.db") as index:
        index.write([Note("a", np.zeros(1, np.float32), b"", float("nan"))], name="x")
    told = json.loads(run("--index", tmp_path / "x.db", "head", "x", "--json").stdout)
    assert told["samples"][0]["weight"] == "nan"


def test_schemas_are_listed_and_shown(run: Run, database: Path) -> None:
    _, row = rows(run("--index", database, "schema", "ls").stdout)
    fields = "text: str, values: NDArray[float32], raw: bytes, weight: float"
    assert row[:3] == ["Note", "1.0.0", fields]
    (listed,) = json.loads(run("--index", database, "schema", "ls", "--json").stdout)
    shown = run("--index", database, "schema", "show", listed["$ref"], "--json").stdout
    assert json.loads(shown) == listed
    text = run("--index", database, "schema", "show", "Note").stdout
    assert "description\tSome text and some numbers.\n" in text


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ["head", "{home}/not-a-shard.tar"]),
        (1, ["--index", "{home}/not-a-shard.tar", "ls"]),
        (2, ["nonsense"]),
        (2, ["show"]),
        (2, ["show", "a*b"]),
        (2, ["head", "notes", "-n", "0"]),
        (2, ["ls", "--frobnicate"]),
        (2, ["plugins"]),
        (3, ["--index", "{home}/absent.db", "ls"]),
        (3, ["--index", "{database}", "show", "other"]),
        (3, ["--index", "{database}", "show", "notes@7"]),
        (3, ["--index", "{database}", "verify", "other"]),
        (3, ["--index", "{database}", "head", "notes", "--split", "dev"]),
        (3, ["--index", "{database}", "schema", "show", "Other"]),
        (3, ["head", "{home}/absent.tar"]),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    run: Run, database: Path, code: int, arguments: list[str]
) -> None:
    home = database.parent
    (home / "not-a-shard.tar").write_bytes(b"hello" * 1000)
    done = run(*(one.format(home=home, database=database) for one in arguments))
    assert done.returncode == code
    assert done.stderr.startswith("atdata: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_reader_that_goes_away_is_no_news(database: Path) -> None:
    with Index(path=database) as index:
        ds = atdata.Dataset(str(database.parent / "x.tar"), sample_type=Note)
        index.add_entry(ds, name="large", metadata={"text": "x" * 500_000})
    with subprocess.Popen(
        [*COMMAND, "--index", str(database), "show", "large"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"name\tlarge\n"
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


def test_an_interrupt_ends_a_command_quietly(tmp_path: Path) -> None:
    fifo = tmp_path / "slow.tar"
    os.mkfifo(fifo)
    with subprocess.Popen([*COMMAND, "head", str(fifo)], stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        # Opens as soon as the child does.
        with fifo.open("wb"):
            child.send_signal(signal.SIGINT)
            assert child.stderr.read() == b""
    assert child.returncode == 130


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("arguments", [["ls", "--json"], ["--version"]])
def test_a_full_disk_is_an_error_of_one_line(arguments: list[str], locale: str) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with full.open("w") as out:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, "LC_ALL": locale},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("atdata: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [1, 2])
def test_a_service_may_close_what_it_does_not_read(database: Path, closed: int) -> None:
    command = shlex.join([*COMMAND, "--index", str(database), "ls"])
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}>&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("notes" in done.stdout) is (closed == 2)


def test_c1_an_address_in_keywords_is_not_taken_for_a_path_that_is_shown(run: Run) -> None:
    done = run("--index", "host=127.0.0.1 port=1 user=me password=hunter2", "ls")
    assert done.returncode == 1
    assert "hunter2" not in done.stdout + done.stderr
    assert "127.0.0.1" in done.stderr
