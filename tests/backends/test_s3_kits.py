"""``S3DataStore`` and ``S3Source`` held to the kits, on Ceph's gateway and on moto."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.services.s3_server import S3Server

from atdata.testing import DataSourceTests, DataStoreTests
from atdata.testing.sources import MakeSource
from atdata_s3.source import S3Source


class TestCephStore(DataStoreTests):
    @pytest.fixture
    def options(self, s3_server: S3Server) -> dict[str, Any]:
        return {"store": "s3", "prefix": "team/data", **s3_server.fresh_bucket()}


class TestMotoStore(DataStoreTests):
    # More than a page takes moto long, and so does each process that starts anew.
    many = 50
    kills = 2
    large_bytes = 40 << 20

    @pytest.fixture
    def options(self, moto_server: S3Server) -> dict[str, Any]:
        return {"store": "s3", **moto_server.fresh_bucket()}


def source_on(server: S3Server, files: Mapping[str, bytes | None]) -> S3Source:
    """Put files into a bucket of their own, and make a source of them."""
    bucket = server.fresh_bucket()["bucket"]
    for name, data in files.items():
        if data is not None:
            server.client.put_object(Bucket=bucket, Key=f"some where/{name}", Body=data)
    urls = [f"s3://{bucket}/some where/{name}" for name in files]
    return S3Source.from_urls(urls, credentials=server.credentials)


class TestCephSource(DataSourceTests):
    @pytest.fixture
    def make_source(self, s3_server: S3Server) -> MakeSource:
        return lambda files: source_on(s3_server, files)


class TestMotoSource(DataSourceTests):
    @pytest.fixture
    def make_source(self, moto_server: S3Server) -> MakeSource:
        return lambda files: source_on(moto_server, files)
