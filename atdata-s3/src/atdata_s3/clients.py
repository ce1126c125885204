"""The SDK's clients: one for each way of access, made when first needed in a process."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from atdata_s3.access import Access, server_of
from atdata_s3.failures import ask
from atdata_s3.logs import redact_logs

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 4
# A dataset may have several readers, each with a connection.
_CONNECTIONS = 32
_REGION = "us-east-1"

# Each with the environment that it was made in.
_clients: dict[Access, tuple[int, Any]] = {}
_lock = threading.Lock()
# Who first wrote to a bucket, and on which server; None where two servers have one of that name.
_writers: dict[str, tuple[str, Access] | None] = {}


def remember(bucket: str, access: Access) -> None:
    """Let ``s3:`` URLs of a bucket be opened in this process as its first writer opens them.

    Once a bucket of the same name on another server is written to, a URL does not tell which one
    is meant, and nobody's access is taken.
    """
    server = server_of(client_of(bucket, access).meta.endpoint_url)
    first = _writers.setdefault(bucket, (server, access))
    if first is not None and first[0] != server:
        _writers[bucket] = None


def client_for(bucket: str, access: Access) -> Any:
    """Return the client for a bucket: where nothing is said of access, that of its writer."""
    writer = _writers.get(bucket) if access == Access() else None
    return client_of(bucket, access if writer is None else writer[1])


def client_of(bucket: str, access: Access) -> Any:
    """Return this process's client, which all threads share, to ask for something in a bucket.

    What the SDK has to find (keys, server, region) is looked for again when the ``AWS_*``
    environment changes.
    """
    environment = _environment()
    with _lock:
        known, client = _clients.get(access, (None, None))
        if known != environment:
            client = ask(f"s3://{bucket}", partial(_connect, access))
            _clients[access] = environment, client
        return client


def _connect(access: Access) -> Any:
    redact_logs()
    session = boto3.session.Session(
        access.access_key, access.secret_key, access.session_token, access.region
    )
    # Buckets that everyone may read need no keys.
    is_anonymous = access.anonymous or session.get_credentials() is None
    config = Config(
        # What the SDK takes for presigned URLs otherwise is older, and refused by newer servers.
        signature_version=UNSIGNED if is_anonymous else "s3v4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=_CONNECTIONS,
        # Servers other than Amazon's refuse checksums that are newer than they are.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = access.region or session.region_name or _REGION
    return session.client("s3", region, endpoint_url=access.endpoint, config=config)


def _environment() -> int:
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith("AWS_")))


def _forget() -> None:
    # The parent's sockets are not for a child, and its lock may be held by a thread it lacks.
    global _clients, _lock
    _clients, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
