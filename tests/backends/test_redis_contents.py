"""What a Redis database holds under an index's names but no index of ours left there: one error."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis
from tests.services.redis_server import Place

from atdata import Index
from atdata.errors import (
    CorruptDataError,
    IndexCorruptError,
)
from atdata.index.provider import Key, Put
from atdata_redis.provider import RedisProvider

KEY = Key("kind", "name", "")
ONE = b'{"n":1}'


@pytest.mark.parametrize("place", ["format", "bodies:kind", "order:kind"])
def test_p4_a_foreign_key_of_the_same_name_is_one_error(redis_server: Place, place: str) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client:
        RedisProvider(url=url).close()
        name = f"{{atdata}}:{place}"
        client.delete(name)
        client.rpush(name, "not ours")
        before = client.dump(name)
        with pytest.raises(IndexCorruptError, match="holds something else"):  # noqa: PT012
            provider = RedisProvider(url=url)
            with closing(provider):
                provider.commit([Put(KEY, ONE)])
        assert client.dump(name) == before
        assert set(client.keys("*kind")) <= {name.encode()}


def test_a_newer_format_is_refused_untouched(redis_server: Place) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client:
        client.set("{atdata}:format", "2")
        with pytest.raises(IndexCorruptError, match=r"format 2.*upgrade atdata-redis"):
            RedisProvider(url=url)
        assert client.keys() == [b"{atdata}:format"]


def test_an_index_that_becomes_of_a_newer_format_is_not_written(redis_server: Place) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client, closing(RedisProvider(url=url)) as provider:
        client.set("{atdata}:format", "2")
        with pytest.raises(IndexCorruptError, match="format 2"):
            provider.commit([Put(KEY, ONE)])
        assert provider.scan("kind") == []


@pytest.mark.parametrize("text", ["v1", "0", "01", "", "²", "9" * 5000])
def test_a_format_that_never_was_is_not_ours(redis_server: Place, text: str) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client:
        client.set("{atdata}:format", text)
        with pytest.raises(IndexCorruptError, match="no atdata index"):
            RedisProvider(url=url)


def test_a_record_that_somebody_removed_half_is_an_error(redis_server: Place) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client, closing(RedisProvider(url=url)) as provider:
        provider.commit([Put(KEY, ONE)])
        client.hdel("{atdata}:bodies:kind", "name\0")
        with pytest.raises(IndexCorruptError, match="listed that is not there"):
            provider.scan("kind")


def test_a_number_that_no_index_would_store_is_an_error_of_ours(redis_server: Place) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client, Index(url=url) as index:
        index.provider.commit([Put(Key("cid", "bafy", "n@00000001"), ONE)])
        client.hset("{atdata}:bodies:cid", "bafy\0n@00000001", '{"name":"n","revision":1e400}')
        with pytest.raises(CorruptDataError, match="CID record"):
            index.get_entry("bafy")


@pytest.mark.parametrize("member", [b"name", b"a\0b\0c", b"\xff\0"])
def test_a_name_that_is_none_of_a_record_is_an_error(redis_server: Place, member: bytes) -> None:
    url = redis_server.fresh_url()
    with redis.Redis.from_url(url) as client, closing(RedisProvider(url=url)) as provider:
        client.zadd("{atdata}:order:kind", {member: 0})
        client.hset("{atdata}:bodies:kind", member, "{}")
        with pytest.raises(IndexCorruptError, match="none of a record"):
            provider.scan("kind")
