"""Servers that lack conditions or ranges, or fail half-way through an upload."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.old_s3 import lacking
from tests.services.s3_server import S3Server

from atdata.errors import ConflictError, StorageError
from atdata.stores import S3DataStore
from atdata.testing.spooled import put
from atdata_s3.uploads import PART


@pytest.fixture
def options(moto_server: S3Server) -> dict[str, Any]:
    return moto_server.fresh_bucket()


def read(store: Any, url: str) -> bytes:
    with store.open(url) as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_without_conditions_a_shard_is_stored_and_not_overwritten(
    moto_server: S3Server, options: dict[str, Any], size: int
) -> None:
    with lacking(moto_server.endpoint, "conditions") as server:
        store = S3DataStore(**options, endpoint=server.endpoint)
        url = put(store, "a.tar", bytes(size))
        with pytest.raises(ConflictError, match=r"a\.tar"):
            put(store, "a.tar", b"more")
        assert read(store, url) == bytes(size)


def test_r2_a_server_that_ignores_ranges_is_an_error_and_no_wrong_bytes(
    moto_server: S3Server, options: dict[str, Any]
) -> None:
    url = put(S3DataStore(**options), "a.tar", b"0123456789")
    with lacking(moto_server.endpoint, "ranges") as server:
        store: Any = S3DataStore(**options, endpoint=server.endpoint)
        assert read(store, url) == b"0123456789"
        with pytest.raises(StorageError, match="from byte 4: the server sends all of it"):
            store.open(url, 4)


def test_w2_an_upload_that_fails_midway_leaves_nothing(
    moto_server: S3Server, options: dict[str, Any]
) -> None:
    with lacking(moto_server.endpoint, "second parts") as server:
        store = S3DataStore(**options, endpoint=server.endpoint)
        with pytest.raises(StorageError, match=r"a\.tar is denied"):
            put(store, "a.tar", bytes(4 * PART))
    assert list(store.list()) == []
    uploads = moto_server.client.list_multipart_uploads(Bucket=options["bucket"])
    assert uploads.get("Uploads", []) == []


@pytest.mark.parametrize(
    ("lack", "size"),
    [("PUT /", 10), ("?uploads", 2 * PART), ("&partNumber", 2 * PART), ("POST /", 2 * PART)],
)
def test_w1_what_another_server_says_to_have_stored_is_not(
    moto_server: S3Server, options: dict[str, Any], lack: str, size: int
) -> None:
    with lacking(moto_server.endpoint, lack) as server:
        store = S3DataStore(**options, endpoint=server.endpoint)
        with pytest.raises(StorageError, match=r"/a\.tar: .* no S3 server, as \w+ is missing"):
            put(store, "a.tar", bytes(size))
    assert list(S3DataStore(**options).list()) == []


def test_an_empty_answer_is_no_listing(moto_server: S3Server, options: dict[str, Any]) -> None:
    with lacking(moto_server.endpoint, "GET /") as server:
        store: Any = S3DataStore(**options, endpoint=server.endpoint)
        with pytest.raises(StorageError, match="no S3 server"):
            list(store.list())


@pytest.mark.parametrize("size", [1, 1000, 4 << 20])
def test_a_stream_is_read_into_a_buffer(
    s3_server: S3Server, moto_server: S3Server, size: int
) -> None:
    data = b"0123456789" * 1000
    for server in (s3_server, moto_server):
        store: Any = S3DataStore(**server.fresh_bucket())
        with store.open(put(store, "a.tar", data), 5) as stream:
            assert stream.readable()
            buffer, got = bytearray(size), b""
            while (count := stream.readinto(buffer)) and len(got) < 1000:
                got += buffer[:count]
                assert stream.tell() == 5 + len(got)
        assert data[5:].startswith(got)
        assert len(got) >= min(1000, size)
