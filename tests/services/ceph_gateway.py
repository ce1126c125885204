"""One node of Ceph on this machine, all in memory: monitor, object store and S3 gateway."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import struct
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from tests.services.processes import die_with_parent, free_port

_PROGRAMS = (
    *("ceph", "ceph-mon", "ceph-osd", "monmaptool"),
    *("radosgw", "radosgw-admin"),
)
_GATEWAY = "client.rgw.a"
_MEMORY = 4 << 30
_RIGHTS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    _GATEWAY: {"mon": "allow rw", "osd": "allow rwx"},
}


def is_installed() -> bool:
    """Tell whether all programs are there."""
    return all(map(shutil.which, _PROGRAMS))


@contextmanager
def running(patience: float) -> Iterator[tuple[str, str, str]]:
    """Run it for as long as the block does; give its endpoint, an access key and a secret key."""
    folder = Path(tempfile.mkdtemp(prefix="atdata-s3-"))
    node = _Node(folder)
    try:
        yield node.start(patience)
    finally:
        node.stop()
        shutil.rmtree(folder)


class _Node:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._id = str(uuid.uuid4())
        self._monitor, self._gateway = free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "ceph.conf").write_text(self._settings())
        (folder / "keyring").write_text("".join(map(_keyring_of, _RIGHTS)))

    def start(self, patience: float) -> tuple[str, str, str]:
        self._start_monitor()
        self._start_store()
        gateway = self._spawn("radosgw", "-n", _GATEWAY)
        endpoint = f"http://127.0.0.1:{self._gateway}"
        deadline = time.monotonic() + patience
        while not _answers(endpoint):
            if gateway.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway did not start:\n{self._log()}")
            time.sleep(0.05)
        return endpoint, *self._make_user()

    def stop(self) -> None:
        # All of it is in memory and not wanted any more.
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start_monitor(self) -> None:
        address = f"[v2:127.0.0.1:{self._monitor}/0]"
        monitors = str(self._folder / "monmap")
        words = ["--create", "--addv", "a", address, "--fsid", self._id, monitors]
        self._run("monmaptool", *words, with_settings=False)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self._spawn("ceph-mon", "-i", "a")

    def _start_store(self) -> None:
        store = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "new", store)
        (self._folder / "osd.0").mkdir()
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", store)
        self._spawn("ceph-osd", "-i", "0")

    def _make_user(self) -> tuple[str, str]:
        words = ["-n", _GATEWAY, "user", "create", "--uid=tests", "--display-name=tests"]
        keys = json.loads(self._run("radosgw-admin", *words))["keys"][0]
        return keys["access_key"], keys["secret_key"]

    def _run(self, program: str, *words: str, with_settings: bool = True) -> bytes:
        settings = ["-c", str(self._folder / "ceph.conf")] if with_settings else []
        with (self._folder / "commands.log").open("ab") as log:
            return subprocess.run(
                [program, *settings, *words], check=True, stdout=subprocess.PIPE, stderr=log
            ).stdout

    def _spawn(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        command = [program, "-f", "-c", str(self._folder / "ceph.conf"), *words]
        with (self._folder / "servers.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- it calls nothing but the system
            )
        self._processes.append(process)
        return process

    def _log(self) -> str:
        return (self._folder / "servers.log").read_text(errors="replace")[-3000:]

    def _settings(self) -> str:
        folder = self._folder
        settings = {
            "fsid": self._id,
            "mon host": f"[v2:127.0.0.1:{self._monitor}/0]",
            "mon initial members": "a",
            "mon data": folder / "mon.a",
            "osd data": folder / "osd.0",
            "keyring": folder / "keyring",
            "run dir": folder,
            "admin socket": folder / "$name.asok",
            "pid file": folder / "$name.pid",
            "log file": folder / "$name.log",
            "public addr": "127.0.0.1",
            "cluster addr": "127.0.0.1",
            "ms bind msgr1": "false",
            # Without this the first write takes seconds.
            "paxos propose interval": 0.01,
            "paxos min wait": 0.01,
            "osd objectstore": "memstore",
            "memstore device bytes": _MEMORY,
            "osd pool default size": 1,
            "osd pool default min size": 1,
            "osd pool default pg num": 4,
            "osd pool default pgp num": 4,
            "osd pool default pg autoscale mode": "off",
            "osd crush chooseleaf type": 0,
            "mon max pg per osd": 1000,
            # The temporary folder may be on a nearly full disk.
            "mon data avail warn": 1,
            "mon data avail crit": 1,
            "rgw frontends": f"beast endpoint=127.0.0.1:{self._gateway}",
            # What is deleted must not stay in memory for an hour.
            "rgw gc obj min wait": 1,
            "rgw gc processor period": 5,
            "rgw gc processor max time": 5,
        }
        return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def _keyring_of(entity: str) -> str:
    """Write a section of a keyring with a new key: its type, time in two parts, length, bytes."""
    size = 16
    header = struct.pack("<hiih", 1, int(time.time()), 0, size)
    key = base64.b64encode(header + secrets.token_bytes(size)).decode()
    rights = "".join(f'\tcaps {what} = "{caps}"\n' for what, caps in _RIGHTS[entity].items())
    return f"[{entity}]\n\tkey = {key}\n{rights}"


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=10).close()
    except (URLError, ConnectionError):
        return False
    return True
