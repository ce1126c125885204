"""What the page on deployment tells to set up does what it says, on real servers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.core.index.kinds import Note, notes
from tests.documents.blocks import blocks_of
from tests.services.postgres_server import Place
from tests.services.redis_server import Launcher
from tests.services.s3_server import S3Server

from atdata import Index, LocalDiskStore, S3DataStore, load_dataset
from atdata.errors import StorageError
from atdata.stores import shard_name

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"


def block(title: str) -> str:
    (text,) = [one.text for one in blocks_of(PAGE) if one.title == title]
    return text


def read(index: Index) -> list[str]:
    return [sample.text for sample in load_dataset("@local/mine", index=index, split="train")]


def test_the_compose_file_is_yaml_and_keeps_what_it_is_given() -> None:
    compose = yaml.safe_load(block("compose.yaml"))
    volumes = {one.partition(":")[0] for s in compose["services"].values() for one in s["volumes"]}
    assert volumes == set(compose["volumes"])
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert all(isinstance(word, str) for word in service.get("command", []))


def test_a_redis_with_the_settings_of_the_compose_file_forgets_nothing(
    redis_launcher: Launcher, tmp_path: Path
) -> None:
    _, *settings = yaml.safe_load(block("compose.yaml"))["services"]["redis"]["command"]
    settings[-1] = "sesame"
    server = redis_launcher.start(*settings)
    # It would warn, which is an error in tests.
    with Index(url=server.url, password="sesame", data_store=LocalDiskStore(tmp_path)) as index:
        index.write(notes("a"), name="mine")
        server.kill()
        server.start()
        assert read(index) == ["a"]


@pytest.fixture
def redis_users(redis_launcher: Launcher, tmp_path: Path) -> dict[str, dict[str, Any]]:
    server = redis_launcher.start_durable()
    Index(url=server.url, data_store=LocalDiskStore(tmp_path)).close()
    users = {}
    with server.client() as client:
        for line in block("users.acl").splitlines():
            _, name, *rules = line.split()
            client.execute_command("ACL", "SETUSER", name, *rules)
            password = rules[1].removeprefix(">")
            users[name] = {"url": server.url, "username": name, "password": password}
    return users


@pytest.fixture
def postgres_users(postgres_server: Place, tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    # In a database of its own, whose default schema all may use.
    dsn = postgres_server.fresh_database()
    Index(dsn=dsn, data_store=LocalDiskStore(tmp_path)).close()
    names = ("reader", "writer", "cleaner")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(block("roles.sql").encode())
    yield {
        name: {"dsn": make_conninfo(dsn, user=name, password=f"change-me-{number}")}
        for number, name in enumerate(names, start=1)
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {', '.join(names)}".encode())
        connection.execute(f"DROP ROLE {', '.join(names)}".encode())


@pytest.mark.parametrize("users", ["redis_users", "postgres_users"])
def test_readers_read_writers_write_and_the_cleaner_cleans(
    users: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    options = request.getfixturevalue(users)
    store = LocalDiskStore(tmp_path / "shards")
    with Index(**options["writer"], data_store=store) as writer:
        writer.write(notes("a"), name="mine")
        assert writer.write(notes("b"), name="mine").revision == 2
    with Index(**options["reader"], data_store=store) as reader:
        assert read(reader) == ["b"]
        assert [entry.revision for entry in reader.history("mine")] == [2, 1]
        assert reader.get_schema("Note")["version"] == "1.0.0"
        with pytest.raises(StorageError):
            reader.write(notes("c"), name="mine")
        with pytest.raises(StorageError):
            reader.delete("mine")
    with Index(**options["cleaner"], data_store=store) as cleaner:
        assert cleaner.delete_leftovers().found == []
        assert read(cleaner) == ["b"]


@pytest.fixture
def bucket(s3_server: S3Server) -> dict[str, Any]:
    s3_server.need_signatures()
    return s3_server.fresh_bucket()


ACTIONS = {
    *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"),
}


def restrict(server: S3Server, bucket: str, role: str) -> None:
    """Deny what a role's policy does not allow; the keys of the tests own the bucket."""
    (allowed,) = json.loads(block(f"{role}.json"))["Statement"]
    assert allowed["Resource"] == ["arn:aws:s3:::team", "arn:aws:s3:::team/datasets/*"]
    assert set(allowed["Action"]) < ACTIONS
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": sorted(ACTIONS - set(allowed["Action"])),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    server.client.put_bucket_policy(Bucket=bucket, Policy=policy)


def test_the_policies_of_the_bucket_allow_just_what_each_role_does(
    s3_server: S3Server, bucket: dict[str, Any]
) -> None:
    store = S3DataStore(**bucket, prefix="datasets")
    index = Index(provider="memory", data_store=store)
    restrict(s3_server, bucket["bucket"], "writer")
    (url,) = index.write(notes("a"), name="mine").data_urls
    assert read(index) == ["a"]
    large = [Note(text="x" * (1 << 20)) for _ in range(12)]
    assert len(index.write(large, name="large").data_urls) == 1
    with pytest.raises(StorageError):
        store.delete(url)
    with pytest.raises(TypeError, match="broken"):
        index.write(broken(), name="failed", maxcount=1)
    left = [one.url for one in index.find_leftovers().found]
    assert len(left) == 1
    restrict(s3_server, bucket["bucket"], "reader")
    assert read(index) == ["a"]
    assert set(left) < set(store.list())
    with pytest.raises(StorageError):
        index.write(notes("b"), name="mine")
    restrict(s3_server, bucket["bucket"], "cleaner")
    with pytest.raises(StorageError):
        index.write(notes("b"), name="mine")
    assert [one.url for one in index.delete_leftovers().found] == left
    assert read(index) == ["a"]


def broken() -> Iterator[Note]:
    yield from notes("a", "b")
    raise TypeError("broken")


def test_the_module_that_connects_does_so(
    postgres_server: Place,
    s3_server: S3Server,
    bucket: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("TEAM_BUCKET", bucket["bucket"])
    monkeypatch.setenv("ATDATA_INDEX", postgres_server.fresh_dsn())
    team = ModuleType("team")
    exec(compile(block("team.py"), "team.py", "exec"), vars(team))
    with team.open_index() as index:
        assert (
            index.write(notes("a"), name="mine")
            .data_urls[0]
            .startswith(f"s3://{bucket['bucket']}/datasets/{shard_name('mine', '', 0)[:10]}")
        )
        assert read(index) == ["a"]


def test_the_job_that_cleans_takes_its_secrets_from_a_script(
    postgres_server: Place, s3_server: S3Server, bucket: dict[str, Any], tmp_path: Path
) -> None:
    (index,) = re.findall("ATDATA_INDEX='(.*)'", text := block("cleaner.sh"))
    parts = conninfo_to_dict(postgres_server.fresh_dsn())
    dsn = f"postgresql:///?{urlencode(parts, quote_via=quote)}"
    Index(dsn=dsn, data_store=LocalDiskStore(tmp_path / "shards")).close()
    for old, new in (
        (f"'{index}'", shlex.quote(dsn)),
        ("ACCESS_KEY_ID='...'", f"ACCESS_KEY_ID={shlex.quote(s3_server.access_key)}"),
        ("ACCESS_KEY='...'", f"ACCESS_KEY={shlex.quote(s3_server.secret_key)}"),
        ("s3://team/", f"s3://{bucket['bucket']}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    script = tmp_path / "cleaner.sh"
    script.write_text(text)
    script.chmod(0o700)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "AWS_ENDPOINT_URL": s3_server.endpoint}
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # What is on the line of a command is there for everybody to see.
    commands = [line for line in text.splitlines() if line.startswith("exec ")]
    assert not re.search(r"--index|\$", f"{commands} {block('crontab')}")
    assert block("crontab").split()[-1].endswith("/cleaner.sh")


def test_an_entry_is_as_large_as_is_said(tmp_path: Path) -> None:
    index = Index(data_store=LocalDiskStore(tmp_path))
    entry = index.write(notes(*"abcdefghij"), name="team/sensors/2026", maxcount=1)
    url = "s3://team/datasets/team/sensors/2026/data--0123456789ab--000000.tar"
    size = len(entry.to_record().replace(entry.data_urls[0].encode(), url.encode())) / 10
    assert 200 < size < 450
