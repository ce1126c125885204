"""What the server of fresh processes has imported: all that tests and backends import late."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_LATE = [
    "atdata.cli.app",
    "atdata.index",
    "atdata.testing",
    "atproto",
    "boto3",
    "botocore.httpsession",
    "dag_cbor",
    "fsspec",
    "httpx",
    "importlib_metadata",
    "msgpack",
    "multiformats",
    "numpy",
    "packaging.requirements",
    "psycopg",
    "redis",
    "sqlalchemy.dialects.sqlite",
    "webdataset",
]

for _module in _LATE:
    if find_spec(_module.partition(".")[0]):
        import_module(_module)
