"""What a Redis database holds under an index's names but no index of ours left there: one error."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis
from tests.services.redis_server import Place

from atdata.errors import (
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


@pytest.mark.parametrize("scores", [(-1, 0, 0), (0, 0, 1), (1, 0, -1)], ids=str)
@pytest.mark.parametrize("limit", [1, 2])
def test_members_with_scores_of_their_own_neither_hide_others_nor_come_back(
    redis_server: Place, scores: tuple[int, ...], limit: int
) -> None:
    """Another program changed the order: pages still go on to the end of a kind."""
    url = redis_server.fresh_url()
    keys = [Key("kind", name, "") for name in "zya"]
    with redis.Redis.from_url(url) as client, closing(RedisProvider(url=url)) as provider:
        provider.commit([Put(key, ONE) for key in keys])
        for key, score in zip(keys, scores, strict=True):
            client.zadd("{atdata}:order:kind", {f"{key.name}\0": score})
        assert [key for key, _ in provider.scan("kind")] == keys[::-1]
        assert [key for key, _ in provider.scan("kind", reverse=True)] == keys
        after: Key | None = None
        while page := provider.scan("kind", after=after, limit=limit):
            assert after is None or page[0][0] > after
            after = page[-1][0]
