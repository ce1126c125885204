"""``atdata copy``: between index files, with shards and without."""

from __future__ import annotations

import json
from pathlib import Path

from tests.core.cli.conftest import Run

from atdata import Index, load_dataset


def texts(database: Path, name: str = "notes") -> list[str]:
    with Index(path=database) as index:
        return [s.text for ds in load_dataset(f"@local/{name}", index=index).values() for s in ds]


def test_a_dataset_is_copied_with_its_shards(run: Run, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "other" / "index.db"
    done = run("copy", "notes", "--from", database, "--to", f"sqlite:///{target}", "--shards")
    assert (done.returncode, done.stderr) == (0, "")
    assert "name\tnotes\nrevision\t1\nsamples\t6\nshards\t3\n" in done.stdout
    database.parent.rename(tmp_path / "gone")
    assert texts(target) == [f"note {n}" for n in range(6)]
    assert run("--index", target, "verify", "notes").returncode == 0


def test_copying_again_prints_the_same(run: Run, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "index.db"
    store = ["--shards", "--store", tmp_path / "shards"]
    arguments = ["copy", "notes", "--from", database, "--to", target, *store, "--json"]
    first, second = run(*arguments), run(*arguments)
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)["revision"] == 1
    assert len(list((tmp_path / "shards").rglob("*.tar"))) == 3


def test_sides_that_are_not_named_are_the_chosen_index(
    run: Run, database: Path, tmp_path: Path
) -> None:
    target = tmp_path / "index.db"
    assert run("--index", database, "copy", "notes", "--to", target).returncode == 0
    assert run("copy", "notes", "--from", target).returncode == 0
    assert run("ls").stdout.splitlines()[1].startswith("notes\t1\t6\t3\t")
    assert texts(target) == [f"note {n}" for n in range(6)]


def test_history_is_copied_on_demand(run: Run, database: Path, tmp_path: Path) -> None:
    with Index(path=database) as index:
        index.copy_to(index, "notes")
        index.add_entry(load_dataset("@local/notes", index=index, split="test"), name="notes")
    target = tmp_path / "index.db"
    assert run("copy", "notes", "--from", database, "--to", target, "--history").returncode == 0
    with Index(path=target) as index:
        assert [entry.revision for entry in index.history("notes")] == [2, 1]


def test_what_is_missing_or_no_index_is_said_in_one_line(
    run: Run, database: Path, tmp_path: Path
) -> None:
    done = run("copy", "absent", "--from", database, "--to", tmp_path / "a.db")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    done = run("copy", "notes", "--from", tmp_path / "none.db", "--to", tmp_path / "a.db")
    assert done.returncode == 3
    assert "there is no index at" in done.stderr
    assert not (tmp_path / "a.db").exists()
    done = run("copy", "notes", "--from", database, "--to", "mysql://me:secret@host/x")
    assert done.returncode == 2
    assert "mysql://***@host/x' is no index; give a file" in done.stderr
    done = run("copy", "notes", "--from", database, "--shards", "--store", "gs://bucket/x")
    assert (done.returncode, "is no store" in done.stderr) == (2, True)
    done = run("copy", "notes", "--from", database, "--store", tmp_path)
    assert (done.returncode, "give both" in done.stderr) == (2, True)


def test_a_damaged_shard_is_named(
    run: Run, database: Path, shards: list[Path], tmp_path: Path
) -> None:
    data = bytearray(shards[1].read_bytes())
    data[600] ^= 1
    shards[1].write_bytes(data)
    done = run("copy", "notes", "--from", database, "--to", tmp_path / "b.db", "--shards")
    assert done.returncode == 1
    assert f"the SHA-256 of {shards[1]} is" in done.stderr
