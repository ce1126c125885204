"""The commands, as a user types them, against a PDS."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.atmosphere.places import Feature, features, shard_of, somebody
from tests.atmosphere.relay import relay_of
from tests.fresh import run_main
from tests.services.pds_server import Account, PdsServer

import atdata
from atdata.atmosphere import AtmosphereIndex, PDSBlobStore
from atdata.cli import main
from atdata.index.default import open_own

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def publisher(pds_server: PdsServer) -> Account:
    return pds_server.new_account("cmd")


@pytest.fixture
def run(pds_server: PdsServer) -> Run:
    """Give a function that runs ``atdata`` and returns what it did."""

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "ATPROTO_BASE_URL": pds_server.url,
            "ATPROTO_PLC_URL": pds_server.plc_url,
            "ATDATA_ALLOW_PRIVATE": "1",
            **environment,
        }
        return run_main(main, ["atdata", *words], {**os.environ, **settings})

    return call


def test_what_one_publishes_another_lists_shows_pulls_and_finds(
    run: Run, publisher: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_own() as index:
        index.write(features(12), name="vectors", metadata={"lr": 0.5})
    done = run("login", publisher.handle, ATPROTO_APP_PASSWORD=publisher.password)
    assert done.returncode == 0, done.stderr
    assert publisher.password not in done.stdout + done.stderr
    saved = Path(os.environ["ATDATA_HOME"]) / "session"
    assert saved.stat().st_mode & 0o077 == 0
    done = run("publish", "vectors", "--tag", "a", "--tag", "b", "--license", "MIT")
    assert done.returncode == 0, done.stderr
    uri = done.stdout.strip()
    assert uri.startswith(f"at://{publisher.did}/ac.foundation.dataset.record/")

    stranger = str(tmp_path / "stranger")
    listed = json.loads(run("ls", f"@{publisher.handle}", "--json", ATDATA_HOME=stranger).stdout)
    assert [(one["name"], one["samples"]) for one in listed] == [("vectors", 12)]
    assert "vectors" in run("ls", f"@{publisher.handle}", ATDATA_HOME=stranger).stdout
    for reference in (uri, f"@{publisher.handle}/vectors"):
        shown = json.loads(run("show", reference, "--json", ATDATA_HOME=stranger).stdout)
        assert (shown["uri"], shown["tags"], shown["license"]) == (uri, ["a", "b"], "MIT")
        assert shown["metadata"] == {"lr": 0.5}
    assert uri in run("show", uri, ATDATA_HOME=stranger).stdout

    done = run("pull", f"@{publisher.handle}/vectors", ATDATA_HOME=stranger)
    assert done.returncode == 0, done.stderr
    done = run("mirror", f"@{publisher.handle}", ATDATA_HOME=stranger)
    assert done.stdout == "1 new, 0 known, 0 left out\n", done.stderr
    found = json.loads(run("find", "--field", "label", "--json", ATDATA_HOME=stranger).stdout)
    assert [one["uri"] for one in found] == [uri]
    assert publisher.handle in run("find", "vec", "--tag", "b", ATDATA_HOME=stranger).stdout
    assert run("find", ATDATA_HOME=stranger).returncode == 0
    assert "nothing" in run("find", "cats", ATDATA_HOME=stranger).stderr

    monkeypatch.setenv("ATDATA_HOME", stranger)
    pulled = atdata.load_dataset("@local/vectors", Feature, split="train")
    assert [one.packed for one in pulled] == [one.packed for one in features(12)]


def test_a_mirror_goes_on_where_it_stopped_and_then_begins_again(
    run: Run, pds_server: PdsServer, tmp_path: Path
) -> None:
    place = str(tmp_path / "mirror")
    with somebody(pds_server) as one, somebody(pds_server) as two:
        for client in (one, two):
            AtmosphereIndex(client).insert_dataset(
                atdata.Dataset[Feature]("https://example.org/x.tar"), name="x"
            )
        with relay_of([one.did, two.did]) as (relay, _):
            words = ("mirror", "--relay", relay, "--max-repos", "1")
            said = [run(*words, ATDATA_HOME=place).stdout for _ in range(3)]
    assert [one.partition(" known")[0] for one in said] == ["1 new, 0", "1 new, 0", "0 new, 1"]


def test_a_pulled_dataset_is_not_found_as_a_mirrored_one(
    run: Run, pds_server: PdsServer, tmp_path: Path
) -> None:
    place = str(tmp_path / "puller")
    (tmp_path / "x.tar").write_bytes(shard_of(features(3)))
    dataset = atdata.Dataset[Feature](str(tmp_path / "x.tar"))
    with somebody(pds_server) as client:
        entry = AtmosphereIndex(client, data_store=PDSBlobStore(client)).insert_dataset(
            dataset, name="x", metadata={"atmosphere": {"uri": "at://forged"}, "lr": 0.5}
        )
    assert run("pull", entry.uri, ATDATA_HOME=place).returncode == 0
    pulled = json.loads(run("show", "x", "--json", ATDATA_HOME=place).stdout)
    assert pulled["metadata"] == {"lr": 0.5, "pulled_from": entry.uri}
    assert "nothing" in run("find", ATDATA_HOME=place).stderr


def test_errors_are_one_line_and_a_code(run: Run, publisher: Account) -> None:
    done = run("publish", "vectors")
    assert (done.returncode, done.stdout) == (1, "")
    assert "atdata login" in done.stderr
    done = run("login", publisher.handle, ATPROTO_APP_PASSWORD="wrong-password")
    assert done.returncode == 1
    assert done.stderr.startswith(f"atdata: {publisher.handle} cannot log in")
    assert "wrong-password" not in done.stderr
    done = run("show", f"@{publisher.handle}/nothing")
    assert done.returncode == 3
    done = run("ls", "@nobody-at-all.test")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
