"""What is peculiar to the Redis index: its arguments, its clients, its cost, and its warning."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from tests.backends.processes import exit_code, in_child
from tests.services.processes import free_port
from tests.services.redis_server import Launcher, Place
from tests.services.required import unavailable

from atdata import Dataset, DictSample, Index, LocalDiskStore, packable
from atdata.errors import ConflictError, InvalidNameError, NotFoundError, StorageError
from atdata.index.provider import ABSENT, Delete, Key, Op, Put
from atdata_redis.addresses import name_of
from atdata_redis.durability import VolatileServerWarning
from atdata_redis.provider import RedisProvider

KEY = Key("kind", "name", "")
ONE, TWO = b'{"n":1}', b'{"n":2}'
REF = "atdata://local/schema/S@1.0.0"
# What a client says when it connects, and what asks for these figures.
_NOT_COUNTED = {"info", "hello", "client|setinfo", "client|setname", "select", "auth", "ping"}


@packable
class Number:
    x: int


@pytest.fixture
def url(redis_server: Place) -> str:
    return redis_server.fresh_url()


@contextmanager
def _counted(url: str, counts: dict[str, int]) -> Iterator[None]:
    """Note which commands clients sent while the block ran, scripts' own left out."""
    with redis.Redis.from_url(url) as client:
        before = _calls(client)
        yield
        after = _calls(client)
    counts |= {name: calls - before.get(name, 0) for name, calls in after.items()}
    for name in [name for name, calls in counts.items() if not calls]:
        del counts[name]


def _calls(client: redis.Redis) -> dict[str, int]:
    stats: dict[str, Any] = client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
    return {name: count for name, count in calls.items() if name not in _NOT_COUNTED}


def _add(index: Index, name: str) -> None:
    dataset = Dataset("https://example.org/a.tar", sample_type=DictSample)
    index.add_entry(dataset, name=name, schema_ref=REF)


def test_a_dataset_is_got_by_name_with_one_command(url: str) -> None:
    counts: dict[str, int] = {}
    with Index(url=url) as index:
        _add(index, "n")
        with _counted(url, counts):
            assert index.get_dataset("n").name == "n"
    assert counts == {"hget": 1}


def test_a_commit_is_one_command_whatever_it_expects(url: str) -> None:
    counts: dict[str, int] = {}
    with closing(RedisProvider(url=url)) as provider:
        provider.commit([Put(KEY, ONE, ABSENT)])
        ops: list[Op] = [Put(KEY, TWO, provider.get(KEY)), Put(Key("k", "b", ""), ONE, ABSENT)]
        with _counted(url, counts):
            provider.commit(ops)
    assert counts["evalsha"] == 1
    assert "eval" not in counts
    assert counts.keys() <= {"evalsha", "exists", "get", "set", *_DATA_COMMANDS}


_DATA_COMMANDS = ("hget", "hset", "hlen", "zadd", "zcard")


def test_a_commit_that_expects_equal_json_of_other_bytes_takes_two(url: str) -> None:
    counts: dict[str, int] = {}
    with closing(RedisProvider(url=url)) as provider:
        keys = [Key("k", f"{number}", "") for number in range(10)]
        provider.commit(Put(key, b'{"a": 1, "b": 2}') for key in keys)
        with _counted(url, counts):
            provider.commit(Put(key, ONE, b'{"b":2,"a":1}') for key in keys)
        assert counts["evalsha"] == 2
        assert provider.get(keys[0]) == ONE


def test_looking_for_what_earlier_releases_wrote_takes_a_small_share_of_the_time(url: str) -> None:
    """Of a thousand look-ups that find nothing, few search the keys of the server."""
    counts: dict[str, int] = {}
    with redis.Redis.from_url(url) as client, client.pipeline() as pipeline:
        for number in range(20_000):
            pipeline.set(f"other:{number}", "")
        pipeline.execute()
    with _counted(url, counts), Index(url=url) as index:
        for number in range(1000):
            with pytest.raises(NotFoundError):
                index.get_dataset(f"n{number}")
    # One search of so many keys takes 21 commands for each of three prefixes.
    assert counts["scan"] < 63 * 100


def test_p3_no_work_on_what_is_there_searches_the_keys_of_the_server(url: str) -> None:
    counts: dict[str, int] = {}
    with Index(url=url) as index:
        for name in ("a", "b"):
            _add(index, name)
        index.publish_schema(DictSample)
    with _counted(url, counts), Index(url=url) as index:
        _add(index, "b")
        index.publish_schema(DictSample)
        assert len(index.history("b")) == 2
        index.get_entry(index.get_dataset("a").cid)
        index.delete("a")
    assert "evalsha" in counts
    assert counts.keys().isdisjoint({"keys", "scan", "hscan", "zscan", "sscan", "hgetall"})


def test_all_keys_of_an_index_are_in_one_slot(url: str) -> None:
    with Index(url=url) as index, redis.Redis.from_url(url) as client:
        _add(index, "n")
        index.provider.commit([Put(Key("{other}", "{x}", ""), ONE)])
        keys = client.keys()
        assert len(keys) > 6
        assert {key.partition(b"}")[0] for key in keys} == {b"{atdata"}


def test_what_remembers_a_commit_goes_away_by_itself(url: str) -> None:
    with closing(RedisProvider(url=url)) as provider, redis.Redis.from_url(url) as client:
        provider.commit([Put(KEY, ONE)])
        commits = client.keys("{atdata}:commit:*")
        assert commits
        assert all(0 < client.ttl(key) <= 600 for key in commits)


def test_a_conflict_shows_what_is_there(url: str) -> None:
    with closing(RedisProvider(url=url)) as provider:
        provider.commit(Put(Key("k", f"{number}", ""), ONE) for number in range(2000))
        ops = [Put(Key("k", f"{number}", ""), TWO, ABSENT) for number in range(2000)]
        with pytest.raises(ConflictError) as caught:
            provider.commit(ops)
        assert caught.value.details == {"key": Key("k", "0", ""), "current": ONE}


@pytest.mark.parametrize("count", [999, 1000, 1001, 8500])
def test_a_scan_returns_more_than_a_scripts_stack_holds(url: str, count: int) -> None:
    with closing(RedisProvider(url=url)) as provider:
        keys = [Key("k", f"{number:05d}", "") for number in range(count)]
        provider.commit([Put(key, ONE, ABSENT) for key in keys])
        assert [key for key, _ in provider.scan("k")] == keys
        assert [key for key, _ in provider.scan("k", limit=10**30, reverse=True)] == keys[::-1]
        provider.commit([Delete(key, b'{"n": 1}') for key in keys])
        assert provider.scan("k") == []


def test_indexes_of_different_prefixes_share_a_database(url: str) -> None:
    with (
        closing(RedisProvider(url=url, prefix="a")) as a,
        closing(RedisProvider(url=url, prefix="b")) as b,
    ):
        a.commit([Put(KEY, ONE)])
        assert b.scan("kind") == []
        b.commit([Put(KEY, TWO, ABSENT)])
        assert a.get(KEY) == ONE
        assert repr(b) == f"RedisProvider({url!r}, prefix='b')"


@pytest.mark.parametrize("prefix", ["", "a}", "{a", "a\0b"])
def test_a_prefix_that_would_leave_its_slot_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNameError, match="is no prefix"):
        RedisProvider(prefix=prefix)


def test_each_documented_spelling_opens_the_same_index(url: str) -> None:
    address, _, database = url.rpartition("/")
    host, port = address.removeprefix("redis://").split(":")
    with redis.Redis.from_url(url) as client:
        with Index(redis=client) as index:
            _add(index, "n")
        for again in (
            Index(client),
            Index(url=url),
            Index(provider="redis", url=url),
            Index(host=host, port=int(port), db=int(database)),
            Index(provider="redis", host=host, port=int(port), db=int(database)),
        ):
            with again:
                assert repr(again.provider) == repr(index.provider)
                assert [entry.name for entry in again.datasets] == ["n"]


def test_a_unix_socket_is_an_address_as_well(redis_launcher: Launcher, tmp_path: Path) -> None:
    path = f"/tmp/atdata-{free_port()}.sock"
    redis_launcher.start_durable("--unixsocket", path)
    for options in ({"url": f"unix://{path}?db=1"}, {"unix_socket_path": path, "db": 1}):
        with closing(RedisProvider(**options)) as provider:
            assert provider.location == f"unix://{path}?db=1"
            assert provider.scan("k") == []


def test_a_client_that_sentinels_lead_to_its_server_is_named_after_what_they_watch() -> None:
    sentinel: Any = redis.Sentinel
    client = sentinel([("nowhere.invalid", 26379)]).master_for("mine", db=3)
    assert name_of(client) == "sentinel://mine/3"


def test_contradictions_are_type_errors(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for options in ({"url": url, "port": 1}, {"redis": client, "url": url}):
            with pytest.raises(TypeError, match="leave out"):
                RedisProvider(**options)
        with pytest.raises(TypeError, match="colour"):
            RedisProvider(url=url, colour="red").scan("k")
        for wrong in (client.pipeline(), url, object()):
            with pytest.raises(TypeError, match=r"redis= takes a redis\.Redis"):
                RedisProvider(wrong)


def test_what_is_no_text_is_no_address() -> None:
    for wrong in (3, b"redis://localhost"):
        with pytest.raises(InvalidNameError, match="url= is no"):
            RedisProvider(url=wrong)  # type: ignore[arg-type]


def test_an_asynchronous_client_is_refused_clearly() -> None:
    with pytest.raises(TypeError, match="takes a synchronous client"):
        Index(redis=redis.asyncio.Redis())


def test_a_given_client_stays_open(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        index = Index(redis=client)
        index.close()
        with pytest.raises(StorageError, match="closed"):
            index.list_datasets()
        assert client.connection_pool._available_connections  # noqa: SLF001
        assert client.ping()


def test_f3_a_client_of_one_connection_does_not_share_it_with_a_forked_child(url: str) -> None:
    def use(writer: int) -> bool:
        keys = [Key("k", f"{writer}", f"{number:03d}") for number in range(100)]
        for key in keys:
            provider.commit([Put(key, b'{"n":%d}' % writer, ABSENT)])
        return all(provider.get(key) == b'{"n":%d}' % writer for key in keys)

    with redis.Redis.from_url(url, single_connection_client=True) as client:
        provider = RedisProvider(client)
        children = [in_child(partial(use, writer)) for writer in (1, 2)]
        assert use(0)
        assert [exit_code(child) for child in children] == [0, 0]
        assert len(provider.scan("k")) == 300


def test_a_client_of_its_own_is_closed(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        before = len(client.client_list())
        provider = RedisProvider(url=url)
        assert len(client.client_list()) == before + 1
        provider.close()
        assert len(client.client_list()) == before
        provider = RedisProvider(url=url)
        del provider
        assert len(client.client_list()) == before


def test_f2_an_address_is_pickled_and_shows_no_password(url: str) -> None:
    secret = "sesame-7f3a"
    # The server has no password, and lets the default user give any.
    with_password = url.replace("redis://", f"redis://default:{secret}@")
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "default", "nopass")
    with closing(RedisProvider(url=with_password, prefix="p")) as provider:
        provider.commit([Put(KEY, ONE)])
        with closing(pickle.loads(pickle.dumps(provider))) as other:
            assert other.get(KEY) == ONE
            for shown in (repr(other), str(vars(other)), other.location):
                assert secret not in shown


def test_f2_an_index_on_a_given_client_is_not_pickled(url: str) -> None:
    with redis.Redis.from_url(url) as client, pytest.raises(TypeError, match="give url="):
        pickle.dumps(RedisProvider(client))


def test_large_records_are_kept_and_paged(url: str) -> None:
    body = b'{"text":"%s"}' % (b"x" * 1_000_000)
    with closing(RedisProvider(url=url)) as provider:
        provider.commit(Put(Key("k", f"{number:02d}", ""), body) for number in range(20))
        provider.commit([Put(Key("k", "00", ""), ONE, body)])
        found = provider.scan("k", after=Key("k", "00", ""), limit=19)
        assert {value for _, value in found} == {body}


def test_a_page_is_of_one_moment_while_others_write(url: str) -> None:
    with closing(RedisProvider(url=url)) as provider, ThreadPoolExecutor(1) as threads:
        keys = [Key("k", f"{number:04d}", "") for number in range(1500)]
        provider.commit(Put(key, b'{"round":0}') for key in keys)

        def write() -> None:
            for number in range(20):
                provider.commit(Put(key, b'{"round":%d}' % number) for key in keys)

        writing = threads.submit(write)
        while not writing.done():
            assert len({body for _, body in provider.scan("k")}) == 1
        writing.result()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((), "keeps nothing on disk"),
        (("--save", "60 1", "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"), "evict"),
    ],
    ids=["nothing on disk", "eviction"],
)
def test_b6_a_server_that_may_lose_records_is_warned_of_once(
    redis_launcher: Launcher, settings: tuple[str, ...], says: str
) -> None:
    server = redis_launcher.start(*settings)
    with pytest.warns(VolatileServerWarning, match=says) as caught:
        Index(url=server.url).close()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Index(url=f"{server.url}/1").close()
        with server.client() as client:
            Index(client).close()


@pytest.mark.parametrize(
    "settings",
    [
        ("--appendonly", "yes"),
        ("--save", "60 1"),
        ("--appendonly", "yes", "--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"),
        ("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"),
    ],
    ids=["log", "snapshots", "no record expires", "no limit"],
)
def test_b6_a_server_that_loses_nothing_is_not_warned_of(
    redis_launcher: Launcher, settings: tuple[str, ...]
) -> None:
    Index(url=redis_launcher.start(*settings).url).close()


def test_a_server_that_hides_its_settings_is_not_warned_of(redis_launcher: Launcher) -> None:
    server = redis_launcher.start()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
    Index(url=server.url).close()


def test_a_warning_that_is_an_error_leaves_nothing_open(redis_launcher: Launcher) -> None:
    server = redis_launcher.start()
    with server.client() as client:
        before = len(client.client_list())
        with pytest.raises(VolatileServerWarning):
            RedisProvider(url=server.url)
        assert len(client.client_list()) == before


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Make a certificate for this machine, signed by itself."""
    program = shutil.which("openssl")
    if program is None:
        unavailable("redis", "the test of TLS needs openssl, to make a certificate")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key -out cert"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([program, *words.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_tls_is_spoken_and_certificates_are_checked(
    redis_launcher: Launcher, certificates: Path
) -> None:
    port, cert = free_port(), f"{certificates / 'cert'}"
    files = ("--tls-cert-file", cert, "--tls-key-file", f"{certificates / 'key'}")
    try:
        settings = ("--tls-port", f"{port}", "--tls-auth-clients", "no", "--tls-ca-cert-file", cert)
        redis_launcher.start_durable(*settings, *files)
    except RuntimeError:
        unavailable("redis", "this Redis speaks no TLS; install the Debian package redis-server")
    url = f"rediss://localhost:{port}/0"
    with Index(provider="redis", url=url, ssl_ca_certs=cert) as index:
        assert repr(index.provider) == f"RedisProvider({url!r}, prefix='atdata')"
        _add(index, "n")
    with Index(host="localhost", port=port, ssl=True, ssl_ca_certs=cert) as index:
        assert index.get_dataset("n").name == "n"
    with pytest.raises(StorageError, match=r"cannot be reached.*[Cc]ertificate"):
        Index(url=url)
    with pytest.raises(StorageError, match="cannot be reached"):
        Index(url=f"redis://localhost:{port}/0", socket_timeout=1)


def test_an_index_on_a_server_keeps_its_shards_in_a_store_that_is_given(
    url: str, tmp_path: Path
) -> None:
    with Index(url=url, data_store=LocalDiskStore(tmp_path)) as index:
        entry = index.write([Number(x=1), Number(x=2)], name="numbers")
        assert all(os.path.exists(shard) for shard in entry.data_urls)
        assert index.get_dataset("numbers") == entry
