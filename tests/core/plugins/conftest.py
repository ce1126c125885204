"""A place to install plugins in, for tests in this process and in one that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pluggy
import pytest
from tests.core.plugins.distributions import Site

import atdata.plugins
from atdata import plugins


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    site.path.mkdir()
    monkeypatch.delenv("ATDATA_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(site.path)
    plugins.rescan()
    before = set(sys.modules)
    yield site
    for name in set(sys.modules) - before:
        if str(site.path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
    monkeypatch.undo()
    plugins.rescan()


@pytest.fixture
def run(site: Site) -> Callable[..., str]:
    """Run code that imports what is installed, but finds only the site's plugins."""
    for installed in Path(pluggy.__file__).parents[1].iterdir():
        if installed.suffix not in {".dist-info", ".egg-info", ".egg-link", ".pth"}:
            (site.path / installed.name).symlink_to(installed)
    core = Path(atdata.plugins.__file__).parents[2]

    def run(code: str, **environment: str) -> str:
        child = subprocess.run(
            [sys.executable, "-S", "-W", "error", "-c", code],
            env={"PYTHONPATH": os.pathsep.join([str(site.path), str(core)]), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == 0, child.stderr
        return child.stdout

    return run
