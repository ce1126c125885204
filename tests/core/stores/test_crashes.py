"""Disks that are full and power that is cut: a shard is there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sample_types import Item, items

from atdata import Dataset, LocalDiskStore
from atdata.errors import StorageError
from atdata.stores import Cut

FULL = """
import resource, signal, sys
from pathlib import Path
from atdata import LocalDiskStore
from atdata.errors import StorageError
from atdata.stores import Cut
from tests.sample_types import items

root, limit = Path(sys.argv[1]), int(sys.argv[2])
store = LocalDiskStore(root)
samples = items(100)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    store.write_samples(samples, prefix="mine", cut=Cut(maxcount=50))
except StorageError as error:
    assert isinstance(error, OSError)
    left = [path for path in root.rglob("*") if path.is_file()]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    again = store.write_samples(samples, prefix="mine")
    print(error, left, len(again))
"""


@pytest.mark.parametrize("limit", [0, 1, 1000, 50_000, 51 * 1024 - 1])
def test_w5_a_file_that_cannot_grow_is_a_storage_error(limit: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "root"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.fullmatch(r".*File too large.* \[\] 1\n", done.stdout), done.stdout + done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Mount a file system of one megabyte, where that is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    return disk


def test_w5_a_full_disk_is_a_storage_error_and_heals(small_disk: Path) -> None:
    try:
        store = LocalDiskStore(small_disk / "root")
        kept = store.write_samples(items(10), prefix="kept")
        before = os.statvfs(small_disk).f_bfree
        with pytest.raises(StorageError, match="No space left"):
            store.write_samples(items(2000), prefix="big", cut=Cut(maxcount=300))
        assert [shard.url for shard in kept] == list(store.list())
        assert before - os.statvfs(small_disk).f_bfree <= 1
        assert list(Dataset[Item](kept[0].url)) == items(10)
        assert store.write_samples(items(100), prefix="small")
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


ONE_WRITE = """
import sys
from atdata import LocalDiskStore
from tests.sample_types import items
LocalDiskStore(sys.argv[1]).write_samples(items(3), prefix="deep/er")
"""


# Much is synced while it is written, a little only in the end.
MUCH = """
import os, sys
from atdata import LocalDiskStore
from atdata.errors import StorageError
from tests.sample_types import items
try:
    # The first sync of each thread fails, and only those of others are to.
    os.fsync(sys.stdout.fileno())
except OSError:
    pass
samples = items(1) * 40
samples[0].text = "long " * 200_000
try:
    LocalDiskStore(sys.argv[1]).write_samples(samples, prefix="deep/er")
except StorageError as error:
    print(error)
"""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")


def _trace(code: str, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-y", *options, sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("processes cannot be traced here")
    assert done.returncode == 0, done.stderr
    return done


@needs_strace
def test_w7_data_is_synced_before_its_name_and_the_name_before_success(tmp_path: Path) -> None:
    calls = (
        "trace=fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,"
        "mkdirat,write"
    )
    log = tmp_path / "log"
    root = tmp_path / "root"
    _trace(ONE_WRITE, root, "-o", str(log), "-e", calls)
    steps = [step for line in log.read_text().splitlines() if (step := _step(line, root))]
    assert steps == [
        *["mkdir root", "fsync parent", "mkdir .spool", "fsync root"],
        "write spool",
        "fsync spool",
        *["mkdir deep", "fsync root", "mkdir er", "fsync deep"],
        *["link data", "fsync er", "unlink spool"],
    ]


@needs_strace
def test_w7_what_cannot_be_synced_while_it_is_written_is_not_stored(tmp_path: Path) -> None:
    """The system tells of it once: a later sync of the same file succeeds."""
    root = tmp_path / "root"
    [kept] = LocalDiskStore(root).write_samples(items(1), prefix="deep/er")
    log = tmp_path / "log"
    one_fails = "inject=fsync:error=EIO:when=1"
    done = _trace(MUCH, root, "-o", str(log), "-e", "trace=fsync", "-e", one_fails)
    assert "Input/output error" in done.stdout
    assert ".tmp>) = -1 EIO" in log.read_text()
    assert list(LocalDiskStore(root).list()) == [kept.url]
    assert list(LocalDiskStore(root).abandoned()) == []


def _step(line: str, root: Path) -> str | None:
    """Shorten a line of strace to the act and what it is done to."""
    found = re.search(r"(fsync|mkdir|link|unlink|write)(?:at)?\((.*)\) += (?!-)", line)
    if found is None or str(root.parent) not in line:
        return None
    act, arguments = found.groups()
    if act == "link":
        return "link data"
    # A call gets a path, or a name in an open folder; or an open file.
    named = re.search('"(.*?)"', arguments) if act in {"mkdir", "unlink"} else None
    name = (named[1] if named else arguments.split(">")[0]).rpartition("/")[2]
    if name.endswith(".tmp"):
        return f"{act} spool"
    return f"{act} {'parent' if name == root.parent.name else name}"
