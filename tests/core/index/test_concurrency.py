"""Many threads and processes on one index, and processes that are killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.core.index.kinds import Note, changed, notes, points, unique_name
from tests.fresh import Script

from atdata import Dataset, Index, LocalDiskStore, load_dataset
from atdata.errors import ConflictError, NotFoundError

PREAMBLE = """
import sys
from atdata import Index
from tests.core.index.kinds import Note, notes, points
path, number = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
"""

PUBLISH = (
    PREAMBLE
    + """
index = Index(path=path)
for _ in range(10):
    print(index.publish_schema(Note))
"""
)

WRITE = (
    PREAMBLE
    + """
index = Index(path=path)
for _ in range(5):
    print(index.write(points(20), name="mine", maxcount=7, metadata={"by": number}).revision)
"""
)

OPEN = (
    PREAMBLE
    + """
with Index(path=path) as index:
    print(index.write(notes("a"), name=f"n{number}").schema_ref)
"""
)

# Opening and a first CID import a lot; what is to be killed is the writing.
WRITE_FOREVER = """
import sys
from atdata import Index, generate_cid
from tests.core.index.kinds import points
index = Index(path=sys.argv[1])
generate_cid({})
print("ready", flush=True)
sys.stdin.readline()
while True:
    index.write(points(200), name="mine", maxcount=60)
"""


def together(script: str, path: Path, count: int) -> list[list[str]]:
    """Run a script in several processes that begin at one moment; the lines each one printed."""
    children = [Script(script, path, number) for number in range(count)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    printed = [child.communicate()[0].split() for child in children]
    assert [child.returncode for child in children] == [0] * count
    return printed


def test_k1_processes_that_bump_versions_at_once_get_one_each(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    refs = [ref for lines in together(PUBLISH, path, 8) for ref in lines]
    assert len(set(refs)) == 80
    with Index(path=path) as index:
        versions = {record["version"] for record in index.list_schemas()}
    assert versions == {f"1.0.{patch}" for patch in range(80)}


def test_k3_writers_of_one_name_lose_no_revision(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    revisions = [int(line) for lines in together(WRITE, path, 8) for line in lines]
    assert sorted(revisions) == list(range(1, 41))
    with Index(path=path) as index:
        history = index.history("mine")
        assert [entry.revision for entry in history] == list(range(40, 0, -1))
        assert index.get_dataset("mine") == history[0]
        assert Counter(_writer(entry.metadata) for entry in history) == dict.fromkeys(range(8), 5)
        assert {entry.schema_ref for entry in history} == {history[0].schema_ref}
        assert all(Path(url).exists() for entry in history for url in entry.data_urls)
        for revision in range(1, 41):
            ds = load_dataset(f"@local/mine@{revision}", split="train", index=index)
            assert [s.label for s in ds] == list(range(20))


def _writer(metadata: dict[str, int] | None) -> int:
    assert metadata is not None
    return metadata["by"]


def test_k4_a_fresh_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "index.db"
    refs = {line for lines in together(OPEN, path, 16) for line in lines}
    assert refs == {"atdata://local/sampleSchema/Note@1.0.0"}
    with Index(path=path) as index:
        assert len(index.list_datasets()) == 16


def test_k6_one_index_serves_many_threads(index: Index) -> None:
    def work(number: int) -> list[int]:
        name = f"own{number}"
        done = []
        for turn in range(3):
            index.write(notes(str(turn)), name=name)
            entry = index.write(points(3), name="shared")
            assert index.get_entry(entry.cid) == entry
            assert index.get_dataset(name).revision == turn + 1
            index.publish_schema(Note)
            assert len(index.list_datasets()) >= 2
            done.append(entry.revision)
        return done

    with ThreadPoolExecutor(16) as pool:
        revisions = [revision for done in pool.map(work, range(16)) for revision in done]
    assert sorted(revisions) == list(range(1, 49))
    assert len(index.history("shared")) == 48
    assert {entry.name for entry in index.datasets} == {"shared", *(f"own{n}" for n in range(16))}


def kill_at_random(path: Path, seconds: float) -> None:
    child = Script(WRITE_FOREVER, path, 0)
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("\n")
    child.stdin.flush()
    time.sleep(seconds)
    child.kill()
    child.communicate()


def check_whole(path: Path) -> None:
    """Check that every registered revision reads back whole, and that writing goes on."""
    with Index(path=path) as index:
        registered = [entry for entry in index.datasets for entry in index.history(entry.name)]
        for entry in registered[:3]:
            ds = load_dataset(f"@local/mine@{entry.revision}", split="train", index=index)
            assert [s.label for s in ds] == list(range(200))
        known = {url for entry in registered for url in entry.data_urls}
        stored = set(LocalDiskStore(path.parent / "data").list())
        assert known <= stored
        # One write was going on; what it leaves behind is at most its own four shards.
        assert len(stored - known) <= 4
        for url in stored - known:
            Path(url).unlink()
        assert index.write(points(200), name="mine").revision == len(registered) + 1
        print("revisions:", len(registered), "leftovers:", len(stored - known))


def kill_repeatedly(path: Path, moments: Sequence[float]) -> None:
    for seconds in moments:
        kill_at_random(path, seconds)
        check_whole(path)


def test_w3_a_killed_writer_leaves_a_whole_dataset_or_none(tmp_path: Path) -> None:
    order = random.Random(3)
    kill_repeatedly(tmp_path / "index.db", [order.uniform(0, 0.2) for _ in range(10)])


@pytest.mark.slow
def test_w3_a_hundred_killed_writers_leave_whole_datasets_or_none(tmp_path: Path) -> None:
    order = random.Random(4)
    kill_repeatedly(tmp_path / "index.db", [order.uniform(0, 0.2) for _ in range(100)])


def test_k2_one_explicit_version_with_different_fields_has_one_winner(index: Index) -> None:
    outcomes = [
        _try_to_publish(index, sample_type) for sample_type in (Note, Note, changed(other=int))
    ]
    assert outcomes == [True, True, False]


def _try_to_publish(index: Index, sample_type: type) -> bool:
    try:
        index.publish_schema(sample_type, version="1.0.0")
    except ConflictError:
        return False
    return True


def test_a_delete_that_races_with_writers_leaves_names_consistent(index: Index) -> None:
    def write(_: int) -> None:
        index.add_entry(Dataset[Note](f"{unique_name()}.tar"), name="mine")

    def delete(_: int) -> None:
        try:
            index.delete("mine")
        except NotFoundError:
            return

    write(0)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(write if n % 3 else delete, n) for n in range(60)]
        for one in done:
            one.result()
    write(0)
    history = index.history("mine")
    assert [entry.revision for entry in history] == list(range(len(history), 0, -1))
    assert index.get_dataset("mine") == history[0]
    assert all(index.get_entry(entry.cid) == entry for entry in history)
