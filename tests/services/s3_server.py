"""S3 for the tests: found, or started from what is on the machine, and stopped again."""

from __future__ import annotations

import importlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any
from urllib.error import HTTPError, URLError

import boto3
import pytest
from botocore.config import Config
from tests.services import ceph_gateway
from tests.services.docker_engine import runs_docker
from tests.services.processes import die_with_parent, free_port
from tests.services.required import unavailable

REMEDY = (
    "no S3 server to test with; install the Debian packages radosgw, ceph-mon and ceph-osd or "
    "the wheel moto[server], or set ATDATA_TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY"
)
START_SECONDS = 60


@dataclass
class S3Server:
    """A server that answers: it hands out buckets of their own to the tests."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    checks_signatures: bool

    @property
    def credentials(self) -> dict[str, str]:
        """What ``S3DataStore`` takes."""
        return {
            "AWS_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def fresh_bucket(self) -> dict[str, Any]:
        """Make an empty bucket and return the keyword options of an ``S3DataStore`` on it."""
        bucket = f"atdata-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=bucket)
        return {"credentials": self.credentials, "bucket": bucket}

    @cached_property
    def client(self) -> Any:
        """The SDK's own client, to look behind the store."""
        return boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(request_checksum_calculation="when_required"),
        )

    def need_signatures(self) -> None:
        """Leave the test out where wrong keys are as good as right ones."""
        if not self.checks_signatures:
            unavailable("s3", f"{REMEDY}; what was found does not check signatures")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Give a server on which each test makes a bucket of its own."""
    with ExitStack() as stack:
        if endpoint := os.environ.get("ATDATA_TEST_S3_ENDPOINT"):
            keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            yield S3Server(endpoint, *keys, checks_signatures=True)
        elif ceph_gateway.is_installed():
            gateway = stack.enter_context(ceph_gateway.running(START_SECONDS))
            yield S3Server(*gateway, checks_signatures=True)
        elif minio := _minio_in_docker(stack):
            yield minio
        elif find_spec("moto"):
            yield stack.enter_context(_moto())
        else:
            unavailable("s3", REMEDY)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """Give moto's server, another reading of what S3 does."""
    if find_spec("moto") is None:
        unavailable("s3", "moto is not installed; `pip install moto[server]` provides it")
    with _moto() as server:
        yield server


@contextmanager
def _moto() -> Iterator[S3Server]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 -- it calls nothing but the system
        )
        try:
            server = S3Server(f"http://127.0.0.1:{port}", "moto", "moto", checks_signatures=False)
            _wait_for(server.endpoint, process)
            yield server
        finally:
            process.kill()
            process.wait()


def _minio_in_docker(stack: ExitStack) -> S3Server | None:
    """Start a container where testcontainers is installed and an engine answers."""
    if not runs_docker():
        return None
    containers: Any = importlib.import_module("testcontainers.minio")
    config = stack.enter_context(containers.MinioContainer()).get_config()
    keys = config["access_key"], config["secret_key"]
    return S3Server(f"http://{config['endpoint']}", *keys, checks_signatures=True)


def _wait_for(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(endpoint, timeout=START_SECONDS).close()
        except HTTPError:
            return
        except URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
