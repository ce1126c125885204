"""What goes wrong on the way to S3 is one clear error that names the object and no secret."""

from __future__ import annotations

import json
import logging
import pickle
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore import exceptions
from tests.services.cutting_proxy import cutting
from tests.services.s3_server import S3Server

from atdata.errors import AtdataError, ConflictError, ShardNotFoundError, StorageError
from atdata.stores import S3DataStore
from atdata.testing.spooled import put
from atdata_s3.failures import ask
from atdata_s3.source import S3Source

SECRETS = {
    "AWS_ACCESS_KEY_ID": "CANARYKEYID",
    "AWS_SECRET_ACCESS_KEY": "canary-secret",
    "AWS_SESSION_TOKEN": "canary-token",
}


@pytest.fixture
def options(s3_server: S3Server) -> dict[str, Any]:
    return s3_server.fresh_bucket()


def acts_on(store: Any) -> list[Callable[[], object]]:
    """Return everything that asks a server something."""
    url = f"s3://{store.bucket}/a.tar"
    return [
        partial(put, store, "a.tar", b"data"),
        partial(store.open, url),
        partial(store.create_source([url]).open_shard, url),
        partial(store.delete, url),
        lambda: list(store.list()),
        lambda: list(store.leftovers("a", "t0ken")),
    ]


def with_keys(options: dict[str, Any], **keys: str) -> Any:
    return S3DataStore({**options["credentials"], **keys}, bucket=options["bucket"])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "canary-secret"}, "secret key is not that of the access key"),
        ({"AWS_ACCESS_KEY_ID": "CANARYKEYID"}, "does not know this access key"),
    ],
)
def test_wrong_keys_are_refused(
    s3_server: S3Server, options: dict[str, Any], keys: dict[str, str], said: str
) -> None:
    s3_server.need_signatures()
    for act in acts_on(with_keys(options, **keys)):
        # To a question without an answer's body there is no more than a status.
        with pytest.raises(StorageError, match=f"{said}|is denied") as caught:
            act()
        assert options["bucket"] in str(caught.value)
        check_no_secret(caught.value)


def test_an_object_that_is_denied_says_so(s3_server: S3Server, options: dict[str, Any]) -> None:
    s3_server.need_signatures()
    store = S3DataStore(**options)
    url = put(store, "a.tar", b"data")
    denied = {
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{store.bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    s3_server.client.put_bucket_policy(Bucket=store.bucket, Policy=policy)
    with pytest.raises(StorageError, match=f"access to {url} is denied"):
        store.open(url)


def test_keys_that_may_only_write_do(s3_server: S3Server, options: dict[str, Any]) -> None:
    s3_server.need_signatures()
    store = S3DataStore(**options)
    denied = {
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{store.bucket}", f"arn:aws:s3:::{store.bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    s3_server.client.put_bucket_policy(Bucket=store.bucket, Policy=policy)
    url = put(store, "a.tar", b"data")
    with pytest.raises(ConflictError, match=r"a\.tar"):
        put(store, "a.tar", b"more")
    s3_server.client.delete_bucket_policy(Bucket=store.bucket)
    with store.open(url) as stream:
        assert stream.read() == b"data"


def test_without_keys_only_what_is_public_is_read(
    s3_server: S3Server, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.need_signatures()
    store = S3DataStore(**options)
    urls = [put(store, name, b"data") for name in ("private.tar", "public.tar")]
    s3_server.client.put_object_acl(Bucket=store.bucket, Key="public.tar", ACL="public-read")
    for name in options["credentials"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found_none = S3Source.from_urls(urls, endpoint=s3_server.endpoint)
    for name, value in options["credentials"].items():
        monkeypatch.setenv(name, value)
    # With keys to be found, but not to be used.
    anonymous = S3Source.from_urls(urls, endpoint=s3_server.endpoint, anonymous=True)
    for source in (anonymous, pickle.loads(pickle.dumps(anonymous))):
        with source.open_shard(urls[1]) as stream:
            assert stream.read() == b"data"
        with pytest.raises(StorageError, match="is denied"):
            source.open_shard(urls[0])
    for name in options["credentials"]:
        monkeypatch.delenv(name)
    with found_none.open_shard(urls[1]) as stream:
        assert stream.read() == b"data"
    with pytest.raises(StorageError, match="is denied"):
        found_none.open_shard(urls[0])


def test_an_unknown_bucket_is_named(s3_server: S3Server) -> None:
    store = S3DataStore(s3_server.credentials, bucket="no-such-bucket-here")
    for act in acts_on(store):
        with pytest.raises((StorageError, ShardNotFoundError), match="no-such-bucket-here"):
            act()
    with pytest.raises(StorageError, match="no such bucket; create it"):
        put(store, "a.tar", b"data")


def test_an_endpoint_that_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        store = S3DataStore(SECRETS, bucket="bucket", endpoint=endpoint)
        with pytest.raises(StorageError, match=r"s3://bucket/a\.tar: the server cannot be reached"):
            store.open("s3://bucket/a.tar")


@pytest.mark.slow
def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        # More than fit the queue of a server that takes none: the rest get no answer.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        store = S3DataStore(SECRETS, bucket="bucket", endpoint=f"http://127.0.0.1:{address[1]}")
        begun = time.monotonic()
        with pytest.raises(StorageError, match="did not answer in time"):
            store.open("s3://bucket/a.tar")
        assert time.monotonic() - begun < 60
        for one in waiting:
            one.close()


class Answering(ThreadingHTTPServer):
    """A server that answers every request alike, after giving some answers once."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = status
        self.body = body
        self.requests = 0


class _Answer(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing on the console."""


def answering(status: int, code: str) -> AbstractContextManager[Answering]:
    body = f"<Error><Code>{code}</Code><Message>canary-secret canary-token</Message></Error>"
    return saying(status, body)


@contextmanager
def saying(status: int, body: str) -> Iterator[Answering]:
    with Answering(status, body.encode()) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "code", "said", "retried"),
    [
        (503, "SlowDown", "too busy", True),
        (500, "InternalError", "failed .InternalError., also after retries", True),
        (403, "ExpiredToken", "session token has expired", False),
        (403, "RequestTimeTooSkewed", "clock is wrong", False),
        (400, "AuthorizationHeaderMalformed", "another region", False),
        (403, "AccessDenied", "is denied", False),
        (404, "NoSuchKey", "there is no shard", False),
        (418, "NeverHeardOf", "cannot be accessed: NeverHeardOf", False),
        (418, "", "cannot be accessed: 418", False),
    ],
)
def test_r5_a_server_is_asked_again_only_where_that_helps(
    status: int, code: str, said: str, retried: bool
) -> None:
    with answering(status, code) as server:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        store = S3DataStore(SECRETS, bucket="bucket", endpoint=endpoint)
        with pytest.raises(AtdataError, match=said) as caught:
            store.open("s3://bucket/a.tar")
    assert "s3://bucket/a.tar" in str(caught.value)
    assert (server.requests > 1) is retried
    check_no_secret(caught.value)


def check_no_secret(error: AtdataError) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error.__context__)
    for secret in SECRETS.values():
        assert secret not in shown
        assert secret.encode() not in pickle.dumps(error)


@pytest.mark.parametrize(
    ("settings", "config", "said"),
    [
        ({"AWS_ENDPOINT_URL": "localhost:9000"}, "", "settings .ValueError."),
        ({"AWS_ENDPOINT_URL": "http://user:canary-secret@"}, "", "settings .ValueError."),
        ({"AWS_PROFILE": "nobody"}, "", "settings .ProfileNotFound."),
        ({"AWS_DEFAULT_REGION": "no/where"}, "", "region is not the name of one"),
        ({"AWS_PROFILE": "x"}, "[profile x\ncanary-secret", "settings .ConfigParseError."),
        (
            {"AWS_PROFILE": "x"},
            "[profile x]\ncredential_process = /bin/echo canary-secret\n",
            "settings .ValueError.",
        ),
        (
            {"AWS_PROFILE": "x"},
            "[profile x]\ncredential_process = /no/such/canary-secret\n",
            "settings .OSError.",
        ),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such/file", "AWS_ROLE_ARN": "arn:aws:iam::1:r/x"},
            "",
            "settings .OSError.",
        ),
    ],
)
def test_settings_that_the_sdk_cannot_use_are_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: dict[str, str],
    config: str,
    said: str,
) -> None:
    (tmp_path / "config").write_text(config)
    files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**settings, **{k: str(tmp_path / v) for k, v in files.items()}}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=f"s3://bucket.*{said}") as caught:
        S3DataStore(bucket="bucket").open("s3://bucket/a.tar")
    check_no_secret(caught.value)


def test_every_error_of_the_sdk_becomes_one_of_ours() -> None:
    kinds = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, exceptions.BotoCoreError)
    ]
    assert len(kinds) > 50
    for kind in kinds:
        error = kind.__new__(kind)

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(AtdataError, match="s3://bucket/key") as caught:
            ask("s3://bucket/key", fail)
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_c1_no_log_holds_a_secret(moto_server: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    bucket = moto_server.fresh_bucket()["bucket"]
    store = S3DataStore(SECRETS, bucket=bucket, endpoint=moto_server.endpoint)
    with caplog.at_level(logging.DEBUG):
        for act in acts_on(store):
            act()
        with pytest.raises(ShardNotFoundError):
            store.open(f"s3://{bucket}/none.tar")
    assert caplog.records
    for secret in ("canary-secret", "canary-token"):
        assert [record for record in caplog.records if secret in record.getMessage()] == []


@pytest.mark.parametrize(
    "body",
    [
        "<Error><Code>InvalidToken</Code><Token-0>canary-token</Token-0></Error>",
        "<Error><CanonicalRequest>x-amz-security-token:canary-token</CanonicalRequest></Error>",
        "<Error>canary-token<SignatureProvided>2</SignatureProvided></Error>",
    ],
)
def test_c1_no_log_holds_what_an_answer_repeats(
    caplog: pytest.LogCaptureFixture, body: str
) -> None:
    with saying(403, body) as server, caplog.at_level(logging.DEBUG):
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        store = S3DataStore(SECRETS, bucket="bucket", endpoint=endpoint)
        with pytest.raises(StorageError):
            list(store.list())
    shown = [record.getMessage() for record in caplog.records]
    assert "Response body:\n***" in shown
    assert [text for text in shown if "canary-token" in text] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SESSION_TOKEN", "canary-token\n"),
        ("AWS_SESSION_TOKEN", " a canary-token"),
        ("AWS_ENDPOINT_URL", "http://user:canary-token@{host}"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "{file}"),
    ],
)
def test_c1_no_log_holds_what_the_sdk_found(
    moto_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    name: str,
    value: str,
) -> None:
    (tmp_path / "token").write_text("canary-token")
    host = moto_server.endpoint.removeprefix("http://")
    found = {"AWS_ENDPOINT_URL": moto_server.endpoint}
    if name == "AWS_WEB_IDENTITY_TOKEN_FILE":
        found |= {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/reader"}
    else:
        found |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    found |= {name: value.format(host=host, file=tmp_path / "token")}
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, content in found.items():
        monkeypatch.setenv(variable, content)
    with caplog.at_level(logging.DEBUG), suppress(AtdataError):
        list(S3DataStore(bucket=moto_server.fresh_bucket()["bucket"]).list())
    assert "botocore.endpoint" in {record.name for record in caplog.records}
    assert "canary-token" not in caplog.text


def test_an_answer_that_is_cut_is_no_listing(s3_server: S3Server, options: dict[str, Any]) -> None:
    store = S3DataStore(**options)
    url = put(store, "a.tar", b"data")
    with cutting(s3_server.endpoint, [300, 400, 500]) as proxy:
        assert list(S3DataStore(**options, endpoint=proxy.endpoint).list()) == [url]
