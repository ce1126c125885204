"""Redis servers that refuse, and addresses that lead nowhere: one clear error, and no secret."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.documents.blocks import blocks_of
from tests.services.processes import free_port
from tests.services.redis_server import Launcher, OwnServer, Place

from atdata import Index
from atdata.errors import (
    ConflictError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)
from atdata.index import LocalDatasetEntry
from atdata.index.provider import ABSENT, Delete, Key, Put
from atdata_redis.provider import RedisProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'
SECRET = "sesame-7f3a"
WRONG = "wrong-7f3a"


def _refused(open_index: Callable[[], object]) -> str:
    """Return all that a failure shows, once it was found to hold no secret."""
    with pytest.raises(StorageError) as caught:
        open_index()
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert SECRET not in shown
    assert WRONG not in shown
    return str(caught.value)


@pytest.fixture
def locked(redis_launcher: Launcher) -> OwnServer:
    """Start a server with a password."""
    return redis_launcher.start_durable("--requirepass", SECRET)


def test_a_password_opens_a_server_in_each_spelling(locked: OwnServer) -> None:
    address = f"127.0.0.1:{locked.port}"
    for options in (
        {"url": f"redis://:{SECRET}@{address}"},
        {"url": f"redis://default:{SECRET}@{address}/3"},
        {"url": f"redis://{address}", "password": SECRET},
        {"host": "127.0.0.1", "port": locked.port, "password": SECRET},
        {"redis": locked.client(password=SECRET)},
    ):
        with Index(**options) as index:
            assert index.list_datasets() == []
            assert SECRET not in f"{index!r}{index.provider!r}{vars(index.provider)}"


def test_b7_a_wrong_password_says_so(locked: OwnServer) -> None:
    url = f"redis://:{WRONG}@127.0.0.1:{locked.port}/0"
    message = _refused(lambda: RedisProvider(url=url))
    assert f"redis://127.0.0.1:{locked.port}/0 failed: user name or password is wrong" in message


def test_b7_a_missing_password_says_so(locked: OwnServer) -> None:
    assert "wants a password" in _refused(lambda: RedisProvider(url=locked.url))


def test_a_server_without_password_refuses_one(redis_server: Place) -> None:
    url = redis_server.fresh_url()
    # It lets any password pass for the default user, but knows no other.
    with_user = url.replace("redis://", f"redis://someone:{WRONG}@")
    assert "password is wrong" in _refused(lambda: RedisProvider(url=with_user))


def test_a_refused_connection_names_the_address_at_once() -> None:
    port = free_port()
    started = time.monotonic()
    message = _refused(lambda: RedisProvider(url=f"redis://:{SECRET}@127.0.0.1:{port}/2"))
    assert f"redis://127.0.0.1:{port}/2 cannot be reached" in message
    assert time.monotonic() - started < 20


def test_an_unknown_host_is_named() -> None:
    message = _refused(lambda: RedisProvider(host="nowhere.invalid", password=SECRET))
    assert "redis://nowhere.invalid:6379/0 cannot be reached" in message


def test_a_server_that_never_answers_is_given_up_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        started = time.monotonic()
        message = _refused(lambda: RedisProvider(port=port, socket_timeout=0.3))
    assert "cannot be reached" in message
    assert time.monotonic() - started < 20


def test_b7_a_server_that_is_full_of_clients_is_an_error(redis_launcher: Launcher) -> None:
    server = redis_launcher.start_durable("--maxclients", "1")
    with server.client() as client:
        client.ping()
        assert "raise maxclients" in _refused(lambda: RedisProvider(url=server.url))


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@host",
        f"redis://:{SECRET}/x@host:6379",
        f"redis://h:{SECRET}",
        # As passwords that nobody encoded are read: another host, or another database.
        f"redis://:12#{SECRET}@127.0.0.1:1",
        f"redis://:12?{SECRET}@127.0.0.1:1",
        f"redis://:12/{SECRET}@127.0.0.1:1",
        "redis://127.0.0.1:1/team",
        "redis://127.0.0.1:1?no_such_option=1",
        "redis://127.0.0.1:1?socket_timeout=soon",
        "rediss://127.0.0.1:1?ssl_cert_reqs=perhaps",
    ],
)
def test_an_address_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(InvalidNameError, match="url= is no") as caught:
        RedisProvider(url=url)
    assert caught.value.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_host_that_no_name_server_takes_is_an_error_of_ours() -> None:
    message = _refused(lambda: RedisProvider(url=f"redis://:{SECRET}@{'h' * 80}:1"))
    assert "cannot be reached" in message


def test_a_server_that_speaks_something_else_is_asked_for_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        message = _refused(lambda: RedisProvider(url=f"redis://127.0.0.1:{port}"))
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert message.endswith("; check the address, whether it speaks TLS, and that the server runs")
    assert ".;" not in message


@pytest.mark.parametrize("command", ["EVALSHA", "HGET", "ZRANGEBYLEX"])
def test_a_server_without_a_command_says_where_they_are_listed(
    redis_launcher: Launcher, command: str
) -> None:
    server = redis_launcher.start_durable("--rename-command", command, "")

    def use() -> None:
        with closing(RedisProvider(url=server.url)) as provider:
            provider.scan("kind")
            provider.get(KEY)

    message = _refused(use)
    assert message.endswith("it lacks a command that docs/redis.md lists; let its owner allow it")


@pytest.fixture
def full(redis_launcher: Launcher) -> Iterator[RedisProvider]:
    """Give an index on a server whose memory is used up, with one record."""
    server = redis_launcher.start_durable()
    with closing(RedisProvider(url=server.url)) as provider:
        provider.commit([Put(KEY, ONE)])
        with server.client() as client:
            client.config_set("maxmemory", "1mb")
        yield provider


def test_b7_a_full_server_refuses_a_commit_whole(full: RedisProvider) -> None:
    message = _refused(lambda: full.commit([Put(Key("j", "a", ""), ONE), Put(KEY, ONE)]))
    assert "its memory is full" in message
    assert full.scan("j") == []
    assert full.get(KEY) == ONE


def test_b7_a_full_server_still_deletes(full: RedisProvider) -> None:
    full.commit([Delete(KEY)])
    with pytest.raises(NotFoundError):
        full.get(KEY)
    assert full.scan("kind") == []


def test_b7_a_read_only_replica_reads_and_says_why_it_does_not_write(
    redis_launcher: Launcher,
) -> None:
    primary = redis_launcher.start_durable("--repl-diskless-sync-delay", "0")
    with closing(RedisProvider(url=primary.url)) as provider:
        provider.commit([Put(KEY, ONE)])
        replica = redis_launcher.start_durable("--replicaof", f"127.0.0.1 {primary.port}")
        with replica.client() as client:
            while client.info("replication")["master_link_status"] != "up":
                time.sleep(0.05)
        with closing(RedisProvider(url=replica.url)) as copy:
            assert copy.get(KEY) == ONE
            assert copy.scan("kind") == [(KEY, ONE)]
            assert "read-only replica" in _refused(lambda: copy.commit([Put(KEY, ONE)]))
            with replica.client() as client:
                client.config_set("replica-serve-stale-data", "no")
            primary.kill()
            assert "replica without its primary" in _refused(lambda: copy.get(KEY))


def test_a_server_that_cannot_save_says_so(redis_launcher: Launcher) -> None:
    settings = ("--save", "3600 1", "--dbfilename", "taken", "--appendonly", "no")
    server = redis_launcher.start(*settings)
    (server.folder / "taken").mkdir()
    with closing(RedisProvider(url=server.url)) as provider, server.client() as client:
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
            time.sleep(0.02)
        assert "cannot save to its disk" in _refused(lambda: provider.commit([Put(KEY, ONE)]))
        with pytest.raises(NotFoundError):
            provider.get(KEY)


def test_b7_a_server_that_is_loading_is_waited_for(redis_launcher: Launcher) -> None:
    server = redis_launcher.start("--save", "3600 1")
    with closing(RedisProvider(url=server.url)) as provider:
        provider.commit(Put(Key("k", f"{n}", ""), ONE) for n in range(100))
        with server.client() as client:
            client.mset({f"filling {number}": "x" for number in range(2000)})
            client.save()
        server.kill()
        # Microseconds that each key takes to load; and clients are answered meanwhile.
        server.start("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024")
        assert len(provider.scan("k")) == 100
        with closing(RedisProvider(url=server.url)) as other:
            assert len(other.scan("k")) == 100


PAGE = Path(__file__).parents[2] / "docs" / "redis.md"


def _documented_rights() -> list[str]:
    """Return the rules that the documentation gives a user, without its name and password."""
    (line,) = [block.text for block in blocks_of(PAGE) if block.title == "rights.acl"]
    return line.split()[4:]


def _add_user(server: OwnServer, *rules: str) -> dict[str, Any]:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "team", "on", f">{SECRET}", *rules)
    return {"url": server.url, "username": "team", "password": SECRET}


def test_a_user_with_the_documented_rights_has_all_that_is_needed(
    redis_launcher: Launcher,
) -> None:
    server = redis_launcher.start_durable()
    rights = _documented_rights()
    with Index(**_add_user(server, *rights)) as index:
        provider = index.provider
        provider.commit([Put(KEY, ONE, ABSENT), Put(Key("k", "b", ""), ONE)])
        provider.commit([Delete(Key("k", "b", ""), ONE)])
        assert provider.scan("kind", reverse=True) == provider.scan("kind") == [(KEY, ONE)]
        with pytest.raises(ConflictError):
            provider.commit([Put(KEY, ONE, ABSENT)])


def test_a_user_who_may_list_keys_takes_over_what_an_earlier_release_left(
    redis_launcher: Launcher,
) -> None:
    server = redis_launcher.start_durable()
    with server.client() as client:
        LocalDatasetEntry("old", "atdata://local/schema/S@1.0.0", ["a.tar"]).write_to(client)
    more = "~Local*", "+scan", "+hgetall"
    with Index(**_add_user(server, *_documented_rights(), *more)) as index:
        assert index.get_dataset("old").data_urls == ["a.tar"]


def test_a_user_without_the_right_to_write_changes_nothing(redis_launcher: Launcher) -> None:
    server = redis_launcher.start_durable()
    RedisProvider(url=server.url).close()
    for command in ("zadd", "hset", "set"):
        options = _add_user(server, *_documented_rights(), f"-{command}")
        with closing(RedisProvider(**options)) as provider:
            message = _refused(lambda provider=provider: provider.commit([Put(KEY, ONE)]))  # type: ignore[misc]
            assert "may not do this" in message
            assert provider.scan("kind") == []
            with pytest.raises(NotFoundError):
                provider.get(KEY)


def test_a_node_of_a_larger_cluster_says_that_it_wants_another_client(
    redis_launcher: Launcher,
) -> None:
    first, second = (redis_launcher.start_node() for _ in range(2))
    with first.client() as client, second.client() as other:
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port)
        other.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            time.sleep(0.05)
    assert "give redis= a redis.RedisCluster" in _refused(lambda: RedisProvider(url=first.url))
    with redis.RedisCluster(host="127.0.0.1", port=first.port) as cluster:
        provider = RedisProvider(cluster)
        provider.commit([Put(KEY, ONE)])
        assert provider.scan("kind") == [(KEY, ONE)]
        provider.close()


@pytest.mark.parametrize("first_moved", [["{atdata}:format"], None], ids=["some", "all"])
def test_a_commit_waits_while_its_keys_move_to_another_node(
    redis_launcher: Launcher, first_moved: list[str] | None
) -> None:
    """Where all have moved, the client is sent to a node that it has not heard of."""
    first, second = (redis_launcher.start_node() for _ in range(2))
    with first.client() as source, second.client() as target:
        source.execute_command("CLUSTER", "MEET", "127.0.0.1", second.port)
        source.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in target.execute_command("CLUSTER", "INFO"):
            time.sleep(0.05)
        slot = source.execute_command("CLUSTER", "KEYSLOT", "{atdata}:format")
        there = target.execute_command("CLUSTER", "MYID")
        with (
            redis.RedisCluster(host="127.0.0.1", port=first.port) as cluster,
            closing(RedisProvider(cluster)) as provider,
            ThreadPoolExecutor(1) as threads,
        ):
            provider.commit([Put(KEY, ONE)])
            here = source.execute_command("CLUSTER", "MYID")
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
            keys = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
            source.migrate("127.0.0.1", second.port, first_moved or keys, 0, 5000)
            writing = threads.submit(provider.commit, [Put(KEY, b'{"n":2}', expect=ONE)])
            # Longer than the client itself goes on asking both.
            time.sleep(2)
            assert not writing.done()
            if rest := source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                source.migrate("127.0.0.1", second.port, rest, 0, 5000)
            for node in (target, source):
                node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", there)
            writing.result()
            assert provider.get(KEY) == b'{"n":2}'
