"""The main job, as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.cli.conftest import Run

from atdata.index import Index


@pytest.fixture(autouse=True)
def _with_digits() -> None:
    pytest.importorskip("sklearn")


def test_the_demo_learns_from_a_name_and_makes_a_revision_each_time(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    first = run("demo", "--path", folder)
    assert first.returncode == 0, first.stderr
    assert "Test accuracy: 0.9" in first.stdout
    assert str(folder / "data") in first.stdout
    again = json.loads(run("demo", "--path", folder, "--json").stdout)
    assert again["accuracy"] > 0.9
    assert again["revision"] == 2
    assert sum(shard["samples"] for shard in again["shards"]) == 1797
    with Index(path=folder / "index.db") as index:
        assert [entry.revision for entry in index.history("digits")] == [2, 1]
        newest, oldest = index.history("digits")
        assert newest.cid == again["cid"]
        assert newest.content_cid == oldest.content_cid
    assert run("--index", folder / "index.db", "verify", "digits@1").returncode == 0


def test_without_scikit_learn_the_demo_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None; from atdata.cli import main; exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'atdata-core[demo]'" in done.stderr
