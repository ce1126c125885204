"""What earlier releases left in a Redis database becomes records, and stays where it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import msgpack
import pytest
import redis
from tests.services.redis_server import OwnServer, Place

from atdata import Index
from atdata.errors import CorruptDataError, NotFoundError
from atdata.index import Key, LocalDatasetEntry
from atdata_redis.provider import RedisProvider

REF = "atdata://local/sampleSchema/S@1.0.0"
FIELDS = [{"name": "x", "fieldType": {"$type": "local#primitive", "primitive": "int"}}]


@pytest.fixture
def url(redis_server: Place) -> str:
    return redis_server.fresh_url()


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


def _leave_entry(client: Any, cid: str, name: str, urls: Any = ("a.tar",), **more: Any) -> None:
    packed = {"data_urls": msgpack.packb(urls)}
    if "metadata" in more:
        packed["metadata"] = msgpack.packb(more.pop("metadata"))
    mapping = {"cid": cid, "name": name, "schema_ref": REF, **packed, **more}
    client.hset(f"LocalDatasetEntry:{cid}", mapping=mapping)


def _leave_schema(client: Any, key: str, name: str, version: str = "1.0.0") -> None:
    record = {"name": name, "version": version, "fields": FIELDS}
    client.set(f"LocalSchema:{key}@{version}", json.dumps(record))


def _dump(client: redis.Redis) -> dict[Any, Any]:
    return {key: client.dump(key) for key in client.keys("Local*")}


def test_datasets_of_an_earlier_release_are_in_the_index(client: redis.Redis, url: str) -> None:
    _leave_entry(client, "bafy1", "mnist", ["a", "b"], metadata={"k": [1]}, legacy_uuid="u")
    with Index(url=url) as index:
        entry = index.get_dataset("mnist")
        assert (entry.cid, entry.schema_ref, entry.data_urls) == ("bafy1", REF, ["a", "b"])
        assert (entry.metadata, entry.legacy_uuid, entry.revision) == ({"k": [1]}, "u", 1)
        assert index.get_entry("bafy1") == entry


def test_hashes_of_one_name_become_its_revisions_by_cid(client: redis.Redis, url: str) -> None:
    for cid in ("c", "a", "b"):
        _leave_entry(client, cid, "n")
    with Index(url=url) as index:
        assert [(entry.cid, entry.revision) for entry in index.history("n")] == [
            ("c", 3),
            ("b", 2),
            ("a", 1),
        ]


def test_schemas_of_an_earlier_release_can_be_decoded(client: redis.Redis, url: str) -> None:
    _leave_schema(client, "S", "S")
    with Index(url=url) as index:
        assert index.decode_schema(REF)(x=1).x == 1


def test_the_module_before_an_old_schemas_name_is_dropped(client: redis.Redis, url: str) -> None:
    _leave_schema(client, "a.module.S", "S")
    _leave_schema(client, "other.T", "T", "2.0.0")
    with Index(url=url) as index:
        assert [schema["name"] for schema in index.list_schemas()] == ["S", "T"]


def test_of_two_modules_with_one_class_name_one_is_left_with_a_warning(
    client: redis.Redis, url: str
) -> None:
    for key in ("a.S", "S"):
        _leave_schema(client, key, "S")
    with pytest.warns(UserWarning, match=r"LocalSchema:a\.S@1\.0\.0.*stays in its key"):
        index = Index(url=url)
    assert len(index.list_schemas()) == 1
    index.close()


def test_what_was_taken_over_stays_where_it_was(client: redis.Redis, url: str) -> None:
    _leave_entry(client, "c", "n")
    _leave_schema(client, "S", "S")
    before = _dump(client)
    with Index(url=url) as index:
        index.delete("n")
    assert _dump(client) == before


def test_what_was_taken_over_and_deleted_does_not_come_back(client: redis.Redis, url: str) -> None:
    _leave_entry(client, "c", "n")
    with Index(url=url) as index:
        index.delete("n")
        assert index.list_datasets() == []
    with Index(url=url) as index:
        assert index.list_datasets() == []


LATE: dict[str, Callable[[Index], LocalDatasetEntry]] = {
    "by name": lambda index: index.get_dataset("late"),
    "by revision": lambda index: index.get_dataset("late@1"),
    "by CID": lambda index: index.get_entry("d"),
    "by history": lambda index: index.history("late")[0],
    "by listing": lambda index: {one.name: one for one in index.datasets}["late"],
}


@pytest.mark.parametrize("find", LATE.values(), ids=LATE)
def test_what_an_earlier_release_writes_later_is_seen_by_an_open_index(
    client: redis.Redis, url: str, find: Callable[[Index], LocalDatasetEntry]
) -> None:
    _leave_entry(client, "c", "early")
    with Index(url=url) as index:
        assert len(index.list_datasets()) == 1
        _leave_entry(client, "d", "late", ["x.tar"])
        entry = _eventually(lambda: find(index))
        assert (entry.name, entry.cid, entry.data_urls) == ("late", "d", ["x.tar"])
        index.delete("late")
        with Index(url=url) as again:
            assert [one.name for one in again.list_datasets()] == ["early"]


def test_what_is_written_later_under_a_name_becomes_its_next_revision(
    client: redis.Redis, url: str
) -> None:
    _leave_entry(client, "c", "n")
    with Index(url=url) as index:
        _leave_entry(client, "d", "n", ["x.tar"])
        _eventually(lambda: index.get_entry("d"))
        assert [(one.cid, one.revision) for one in index.history("n")] == [("d", 2), ("c", 1)]


def test_an_entry_that_the_index_has_is_not_taken_over_again(client: redis.Redis, url: str) -> None:
    with Index(url=url) as index:
        _leave_entry(client, "c", "n")
        entry = _eventually(lambda: index.get_dataset("n"))
        entry.write_to(client)
        _leave_entry(client, "e", "other")
        _eventually(lambda: index.get_dataset("other"))
        assert index.history("n") == [entry]


def test_labels_and_schemas_that_are_written_later_are_seen(client: redis.Redis, url: str) -> None:
    with Index(url=url) as index:
        _leave_entry(client, "c", "n")
        client.hset("Label:best@1.0.0", mapping={"name": "best", "cid": "c", "version": "1.0.0"})
        _leave_schema(client, "a.module.S", "S")
        assert _eventually(lambda: index.get_dataset("best")).cid == "c"
        assert _eventually(lambda: index.decode_schema(REF))(x=1).x == 1


def test_what_cannot_be_taken_over_later_is_warned_of_once(client: redis.Redis, url: str) -> None:
    with Index(url=url) as index:
        _leave_entry(client, "c", "../n")
        with pytest.warns(UserWarning, match=r"LocalDatasetEntry:c .* stays in its key"):
            index.list_datasets()
        assert index.list_datasets() == []


def _eventually(find: Callable[[], Any]) -> Any:
    """Return what is found; an index looks for what is missing only so often."""
    # A search that a busy machine draws out is long made up for.
    for _ in range(3000):
        with suppress(KeyError):
            return find()
        time.sleep(0.02)
    return find()


def test_an_index_of_another_prefix_takes_over_nothing(client: redis.Redis, url: str) -> None:
    _leave_entry(client, "c", "n")
    with Index(provider="redis", url=url, prefix="team") as index:
        assert index.list_datasets() == []


def test_many_take_over_at_once_and_do_it_once(client: redis.Redis, url: str) -> None:
    for number in range(300):
        _leave_entry(client, f"c{number:03d}", f"n{number // 3}")
    with ThreadPoolExecutor(8) as threads:
        providers = list(threads.map(lambda _: RedisProvider(url=url), range(8)))
    for provider in providers:
        with closing(provider):
            assert len(provider.scan("revision")) == 300
            assert len(provider.scan("dataset")) == 100


def test_a_large_old_index_is_taken_over_whole(client: redis.Redis, url: str) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in range(5000):
            _leave_entry(pipeline, f"c{number}", f"n{number}")
        pipeline.execute()
    with closing(RedisProvider(url=url)) as provider:
        assert len(provider.scan("cid")) == 5000


def test_an_old_index_in_a_cluster_is_taken_over(redis_cluster: OwnServer) -> None:
    cluster = redis.RedisCluster(host="127.0.0.1", port=redis_cluster.port, decode_responses=True)
    with cluster, redis_cluster.client() as client:
        client.flushall()
        for number in range(20):
            _leave_entry(client, f"c{number}", f"n{number}", metadata={"raw": b"\xff"})
        with Index(cluster) as index:
            assert len(index.list_datasets()) == 20


def _leave_label(client: Any, name: str, version: str, cid: str) -> None:
    client.hset(f"Label:{name}@{version}", mapping={"cid": cid, "name": name, "version": version})


def test_a_label_is_a_further_name_of_its_dataset(client: redis.Redis, url: str) -> None:
    for cid in ("c1", "c2"):
        _leave_entry(client, cid, "n", [cid])
    _leave_label(client, "n", "", "c2")
    _leave_label(client, "nice", "1.9.0", "c2")
    _leave_label(client, "nice", "1.10.0", "c1")
    _leave_label(client, "nice", "draft", "c1")
    _leave_label(client, "gone", "", "c3")
    with Index(url=url) as index:
        assert [entry.name for entry in index.datasets] == ["n", "nice"]
        assert [entry.cid for entry in index.history("n")] == ["c2", "c1"]
        assert [(one.cid, one.data_urls) for one in index.history("nice")] == [
            ("c1", ["c1"]),
            ("c2", ["c2"]),
            ("c1", ["c1"]),
        ]


def test_keys_of_others_that_are_called_like_labels_are_passed_over(
    client: redis.Redis, url: str
) -> None:
    _leave_entry(client, "c", "n")
    client.set("Label:7", "mine")
    client.hset("Label:8", mapping={"text": "mine"})
    client.hset("Label:9", mapping={"cid": "c"})
    with Index(url=url) as index:
        assert [entry.name for entry in index.datasets] == ["n"]


def test_a_schema_whose_text_bears_its_module_is_called_as_its_class(
    client: redis.Redis, url: str
) -> None:
    _leave_schema(client, "a.module.S", "a.module.S")
    with Index(url=url) as index:
        assert [schema["name"] for schema in index.list_schemas()] == ["S"]
        assert index.decode_schema("local://schemas/a.module.S@1.0.0")(x=1).x == 1


UNREADABLE: dict[str, dict[str, Any]] = {
    "urls that are no list": {"urls": "a.tar"},
    "metadata that is no map": {"metadata": [1]},
    "a name too long": {"name": "n" * 2000},
    "a name with NUL": {"name": "a\0b"},
}


@pytest.mark.parametrize("parts", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_hash_is_left_with_a_warning(
    client: redis.Redis, url: str, parts: dict[str, Any]
) -> None:
    _leave_entry(client, "bad", **{"name": "n", **parts})
    _leave_entry(client, "good", "n")
    with pytest.warns(UserWarning, match=r"\(bad\).*stays in its key"):
        index = Index(url=url)
    assert [entry.cid for entry in index.history("n")] == ["good"]
    index.close()


def test_a_key_of_another_type_is_left_with_a_warning(client: redis.Redis, url: str) -> None:
    client.set("LocalDatasetEntry:x", "text")
    client.hset("LocalSchema:S@1.0.0", "a", "b")
    with pytest.warns(UserWarning, match="stays in its key") as caught:
        RedisProvider(url=url).close()
    assert [str(one.message).partition(" ")[0] for one in caught] == [
        "LocalDatasetEntry:x",
        "LocalSchema:S@1.0.0",
    ]


def test_text_that_is_no_utf8_is_taken_over_readably(client: redis.Redis, url: str) -> None:
    _leave_entry(client, "c", b"n\xff")  # type: ignore[arg-type]
    with closing(RedisProvider(url=url)) as provider:
        (key, _) = provider.scan("dataset")[0]
    assert key == Key("dataset", "n\N{REPLACEMENT CHARACTER}", "")


ENTRY = LocalDatasetEntry(
    _name="my-dataset",
    _schema_ref="local://schemas/examples.TrainingSample@1.0.0",
    _data_urls=["s3://bucket/data-000000.tar", "s3://bucket/data-000001.tar"],
    _metadata={"source": "example", "samples": 10000},
)
ENTRY_CID = "bafyreif6ronc2r5z7nzvqyqgjxdvqqhh2yr4shz7vuc7tkaut2bmmrwxgi"


@pytest.mark.parametrize("decodes", [False, True])
def test_an_entry_that_is_written_to_redis_is_read_from_there(url: str, decodes: bool) -> None:
    with redis.Redis.from_url(url, decode_responses=decodes) as client:
        ENTRY.write_to(client)
        assert LocalDatasetEntry.from_redis(client, ENTRY_CID) == ENTRY


def test_an_entry_is_written_as_earlier_releases_did(client: redis.Redis) -> None:
    LocalDatasetEntry("n", "ref", ["a"], _cid="c", _legacy_uuid="u").write_to(client)
    assert client.hgetall("LocalDatasetEntry:c") == {
        b"name": b"n",
        b"schema_ref": b"ref",
        b"data_urls": msgpack.packb(["a"]),
        b"cid": b"c",
        b"legacy_uuid": b"u",
    }


def test_an_entry_that_is_written_again_leaves_nothing_of_the_first(client: redis.Redis) -> None:
    LocalDatasetEntry("n", "ref", ["a"], {"k": 1}).write_to(client)
    again = LocalDatasetEntry("m", "ref", ["a"])
    again.write_to(client)
    assert LocalDatasetEntry.from_redis(client, again.cid) == again


def test_entries_are_written_to_and_read_from_a_cluster(redis_cluster: OwnServer) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=redis_cluster.port) as cluster:
        ENTRY.write_to(cluster)
        assert LocalDatasetEntry.from_redis(cluster, ENTRY_CID) == ENTRY


def test_an_entry_that_is_not_there_is_a_key_error(client: redis.Redis) -> None:
    with pytest.raises(KeyError, match="no dataset with CID"):
        LocalDatasetEntry.from_redis(client, "bafy")
    assert issubclass(NotFoundError, KeyError)


def test_an_entry_that_cannot_be_read_is_an_error_of_ours(client: redis.Redis) -> None:
    _leave_entry(client, "bad", "n", {"no": "list"})
    with pytest.raises(CorruptDataError, match="LocalDatasetEntry:bad"):
        LocalDatasetEntry.from_redis(client, "bad")
