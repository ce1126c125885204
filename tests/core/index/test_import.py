"""What ``import atdata`` costs, and what its names are."""

from __future__ import annotations

import subprocess
import sys

import pytest

import atdata

HEAVY = [
    *["webdataset", "sqlalchemy", "fsspec", "pluggy", "multiformats", "dag_cbor", "torch"],
    *["importlib_metadata", "importlib.metadata", "pyarrow", "pandas", "typer", "rich"],
    *["boto3", "atproto", "redis", "psycopg", "httpx"],
    *["atdata_sqlite", "atdata_redis", "atdata_postgres", "atdata_s3", "atdata_atmosphere"],
]

SCRIPT = """
import sys, time
import numpy
before = time.perf_counter()
import atdata
took = time.perf_counter() - before
print(f"{took * 1000:.0f} ms", *sys.modules)
"""


def test_importing_atdata_imports_nothing_heavy() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout.split()
    print("import atdata:", *found[:2])
    assert set(HEAVY) & set(found) == set()


def test_every_public_name_is_there() -> None:
    for name in atdata.__all__:
        assert getattr(atdata, name) is not None
    with pytest.raises(AttributeError, match="Unheard"):
        atdata.Unheard  # noqa: B018
