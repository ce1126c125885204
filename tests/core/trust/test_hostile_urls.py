"""What others wrote into an index or a record is opened by its policy alone, and never run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path


def test_hostile_urls_open_connect_to_and_run_nothing(tmp_path: Path) -> None:
    (tmp_path / "canary").write_bytes(b"private")
    with socket.create_server(("127.0.0.1", 0)) as inside:
        port = inside.getsockname()[1]
        command = [sys.executable, "-m", "tests.core.trust.hostile_urls", str(tmp_path), str(port)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=500)
        inside.settimeout(0)
        try:
            asked = inside.accept()
        except BlockingIOError:
            asked = None
    report = json.loads(done.stdout)
    assert report["urls"] >= 1000
    assert report["seen"] == []
    assert asked is None
    assert (tmp_path / "canary").read_bytes() == b"private"
