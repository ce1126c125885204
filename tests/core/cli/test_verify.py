"""``atdata verify`` notices whatever happened to a shard, and says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.core.cli.conftest import Note, Run
from tests.shard_files import tar_bytes

import atdata
from atdata.index import Index


def flip(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    place = data.index(b"note 2")
    data[place] ^= 1
    shard.write_bytes(data)


def damage_structure(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[600] ^= 255
    shard.write_bytes(data)


def truncate(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-1536])


def exchange(shard: Path) -> None:
    shard.write_bytes(shard.with_name(shard.name.replace("000001", "000000")).read_bytes())


def lengthen(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes() + bytes(512))


def test_a_sound_dataset_is_found_to_be_sound(run: Run, database: Path) -> None:
    done = run("--index", database, "verify", "notes")
    assert done.returncode == 0
    assert [line.rpartition("\t")[2] for line in done.stdout.splitlines()] == ["found", *["ok"] * 3]
    report = json.loads(run("--index", database, "verify", "notes@1", "--json").stdout)
    assert report["ok"]
    assert report["digests_known"]
    assert [shard["samples"] for shard in report["shards"]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (flip, "SHA-256"),
        (damage_structure, "SHA-256"),
        (truncate, "truncated"),
        (exchange, "SHA-256"),
        (lengthen, "bytes"),
        (Path.unlink, "no shard at"),
    ],
)
def test_damage_is_found_in_the_shard_that_has_it(
    run: Run, database: Path, shards: list[Path], fault: Callable[[Path], object], said: str
) -> None:
    fault(shards[1])
    done = run("--index", database, "verify", "notes", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["ok"]
    assert [shard["url"] for shard in report["shards"] if shard["problems"]] == [str(shards[1])]
    assert said in "; ".join(report["shards"][1]["problems"])


def test_a_damaged_shard_is_named_in_the_table(
    run: Run, database: Path, shards: list[Path]
) -> None:
    shards[1].unlink()
    done = run("--index", database, "verify", "notes")
    assert done.returncode == 1
    assert done.stderr == "atdata: 1 of 3 shards of 'notes' are not as they should be\n"
    (bad,) = [line for line in done.stdout.splitlines()[1:] if not line.endswith("\tok")]
    assert bad.startswith(f"{shards[1]}\t0\t")


def test_all_ranks_of_a_launcher_see_all_shards(run: Run, database: Path) -> None:
    done = run("--index", database, "verify", "notes", RANK="1", WORLD_SIZE="2")
    assert done.returncode == 0


def test_shards_without_known_digests_are_still_read(
    run: Run, database: Path, shards: list[Path]
) -> None:
    with Index(path=database) as index:
        pattern = str(shards[0]).replace("000000.tar", "{000000..000001}.tar")
        index.add_entry(atdata.Dataset(pattern, sample_type=Note), name="found")
    sound = run("--index", database, "verify", "found")
    assert sound.returncode == 0
    assert "no digests" in sound.stdout
    assert sound.stdout.count("\t2\t") == 2
    truncate(shards[1])
    report = run("--index", database, "verify", "found", "--json")
    assert report.returncode == 1
    assert not json.loads(report.stdout)["digests_known"]


def test_junk_of_other_tools_is_counted(run: Run, database: Path, tmp_path: Path) -> None:
    members = []
    for number in range(3):
        packed = Note(f"note {number}", np.zeros(2, np.float32), b"").packed  # type: ignore[attr-defined]
        members += [(f"._{number}.msgpack", b"\0\5\x16\7"), (f"{number}.msgpack", packed)]
    (tmp_path / "mac.tar").write_bytes(tar_bytes(members))
    (tmp_path / "none.tar").write_bytes(tar_bytes([]))
    with Index(path=database) as index:
        files = [f"{tmp_path}/mac.tar", f"{tmp_path}/none.tar"]
        index.add_entry(atdata.Dataset(files, sample_type=Note), name="found")
    report = json.loads(run("--index", database, "verify", "found", "--json").stdout)
    assert [(one["samples"], one["skipped"]) for one in report["shards"]] == [(3, 3), (0, 0)]
    done = run("--index", database, "verify", "found")
    assert done.returncode == 0
    assert "\tok; 3 members of other tools were passed over\n" in done.stdout
