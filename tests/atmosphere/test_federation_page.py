"""The page about federation is true: its blocks run as a new account of a PDS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.services.pds_server import PdsServer

ROOT = Path(__file__).parents[2]


def test_every_block_of_the_page_runs(pds_server: PdsServer, tmp_path: Path) -> None:
    account = pds_server.new_account("page")
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents.run_page", str(ROOT / "docs" / "federation.md")],
        cwd=tmp_path,
        env={
            **os.environ,
            "ATPROTO_BASE_URL": pds_server.url,
            "ATPROTO_PLC_URL": pds_server.plc_url,
            "ATPROTO_HANDLE": account.handle,
            "ATPROTO_APP_PASSWORD": account.password,
            "ATDATA_ALLOW_PRIVATE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTHONWARNINGS": "error",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
