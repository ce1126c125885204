"""What other systems lack is really missing to atdata where its tests run without it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

BACKENDS = ("sqlite", "redis", "postgres", "s3", "atmosphere")
SITE = Path(__file__).parent / "taken"
LINUX = {"preadv", "posix_fadvise", "sched_getaffinity"}
POSIX = {"fork", "register_at_fork", "getuid", "O_NOFOLLOW", "O_DIRECTORY", "fchmod"}
MISSING = {
    "": (set[str](), {"msvcrt"}),
    "macos": (LINUX, {"msvcrt", "/proc"}),
    "windows": (LINUX | POSIX, {"fcntl", "/proc", "handles"}),
    "bare": (LINUX | POSIX | {"link"}, {"fcntl", "msvcrt", "/proc", "handles"}),
}


def missing() -> tuple[set[str], set[str]]:
    """Return what the modules of atdata miss in this process: calls, and means."""
    locks, folders, local, parallel, processes = (
        importlib.import_module(f"atdata.{name}")
        for name in (
            *("locks", "stores.folders", "shards.local", "shards.parallel", "index.processes"),
        )
    )
    own: list[Any] = [module.os for module in (folders, local, parallel, processes)]
    calls = {name for name in LINUX | POSIX | {"link"} if not all(hasattr(os, name) for os in own)}
    assert not any(hasattr(os, name) for name in calls for os in own)
    means = {
        "fcntl": locks.fcntl,
        "msvcrt": locks.msvcrt,
        "/proc": processes.this_process(),
        "handles": folders.HAS_HANDLES,
    }
    return calls, {name for name, value in means.items() if not value}


@pytest.mark.skipif(sys.platform != "linux", reason="others lack what they lack")
def test_what_is_meant_to_be_missing_is_missing_here_and_in_other_processes() -> None:
    expected = MISSING[os.environ.get("ATDATA_TEST_SYSTEM", "")]
    assert missing() == expected
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(missing) == expected


def import_all() -> None:
    """Import every module of every distribution; what cannot be is an error."""
    for distribution in ("atdata", *(f"atdata_{name}" for name in BACKENDS)):
        package = importlib.import_module(distribution)
        for module in pkgutil.walk_packages(package.__path__, f"{distribution}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


CODE = """
from tests.portable.test_systems import MISSING, import_all, missing
import_all()
print(missing() == MISSING[{!r}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others lack what they lack")
@pytest.mark.parametrize("system", MISSING)
def test_each_system_can_be_had_and_imports_everything(system: str) -> None:
    code = CODE.format(system)
    paths = [str(SITE), str(Path(__file__).parents[2])]
    env = {**os.environ, "ATDATA_TEST_SYSTEM": system, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert done.stdout.split() == [b"True"], done
