"""``DataStoreTests``: what every data store promises, as tests that a store's author inherits."""

# ruff: noqa: D102, S101 -- a test's name is its sentence, and it asserts

from __future__ import annotations

import hashlib
import os
import pickle
import random
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atdata.dataset import Dataset, load_dataset
from atdata.errors import ConflictError, EmptyDatasetError, InvalidNameError, ShardNotFoundError
from atdata.index import Index
from atdata.protocols import AbstractDataStore
from atdata.stores import Cut, DataStore
from atdata.testing import store_processes as processes
from atdata.testing.children import child, elsewhere, everywhere
from atdata.testing.kit import Kit
from atdata.testing.readings import Reading, readings, shard_of
from atdata.testing.spooled import interrupted, open_store, put, read, secrets_in

HOSTILE_NAMES = {
    "parent": "../x.tar",
    "inner-parent": "a/../x.tar",
    "parents": "a/../../x.tar",
    "to-victim": "a/../victim.tar",
    "dot": "./victim.tar",
    "dots": "..tar/..a.tar",
    "absolute": "/victim.tar",
    "double-slash": "a//x.tar",
    "trailing-slash": "x.tar/",
    "only-slash": "/",
    "empty": "",
    "tilde": "~/x.tar",
    "backslash": "a\\..\\x.tar",
    "nul": "a\0b.tar",
    "newline": "a\nb.tar",
    "escape": "a\x1b[31mb.tar",
    "surrogate": "a\ud800.tar",
    "brace-list": "{victim,x}.tar",
    "brace-range": "{0..3}.tar",
    "half-brace": "a{b.tar",
    "star": "*.tar",
    "question": "a?b.tar",
    "fragment": "a#b.tar",
    "percent": "a%2e%2e%2fb.tar",
    "plus": "a+b c.tar",
    "colon": "a:b.tar",
    "url": "https://host/x.tar",
    "file-url": "file:///x.tar",
    "pipe": "pipe:touch x.tar",
    "dash": "-rf.tar",
    "unicode": "gr\u00fc\u00dfe \U0001f986.tar",
    "decomposed": "u\u0308.tar",
    "right-to-left": "a\u202erat.tar",
    "space": " x .tar",
    "long": "x" * 251 + ".tar",
    "too-long": "x" * 5000 + ".tar",
    "deep": "d/" * 400 + "x.tar",
}
FOREIGN_URLS = [
    "",
    "x.tar",
    "../x.tar",
    "/etc/passwd",
    "file:///etc/passwd",
    "https://host.invalid/x.tar",
    "s3://a-bucket-of-others/x.tar",
    "memory://x.tar",
    "pipe:cat /etc/passwd",
    "\0",
    "\ud800.tar",
]


class DataStoreTests(Kit):
    """The promises of ``atdata.stores.DataStore``.

    A subclass has one fixture ``options``: a mapping with the registered name of the store under
    ``"store"``, and the keyword arguments of its constructor. They mean a place that is empty when
    a test begins and that nothing else writes to, and they pickle, for processes started anew open
    the same place. What a test costs is set by the class attributes.
    """

    many = 1001
    """How many shards are listed at once: more than a page of the backend's listing."""
    large_bytes = 64 << 20
    """The size of the large shard: more than the backend takes in one request."""
    large_memory = 48 << 20
    """How much more memory, in bytes, a process may take while it stores and reads that shard."""
    writers = 4
    """How many processes put shards of the same name at once."""
    kills = 5
    """How many times a process that writes is killed."""

    @pytest.fixture
    def store(self, options: Mapping[str, Any]) -> DataStore:
        return open_store(options)

    def test_it_is_a_data_store(self, store: DataStore) -> None:
        assert isinstance(store, DataStore)
        assert isinstance(store, AbstractDataStore)
        assert list(store.list()) == []

    def test_what_is_put_is_opened_listed_and_deleted(self, store: DataStore) -> None:
        url = put(store, "a/b.tar", b"0123456789")
        assert read(store, url) == b"0123456789"
        assert list(store.list()) == [url]
        store.delete(url)
        assert list(store.list()) == []

    def test_urls_and_ways_to_read_are_told(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        assert isinstance(url, str)
        assert isinstance(store.read_url(url), str)
        assert isinstance(store.supports_streaming(), bool)

    def test_a_shard_may_be_empty(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"")
        assert read(store, url) == b""
        assert list(store.list()) == [url]

    @pytest.mark.parametrize("offset", [0, 1, 50_000, 99_999, 100_000, 100_001, 1 << 40])
    def test_it_opens_at_an_offset(self, store: DataStore, offset: int) -> None:
        data = random.Random(1).randbytes(100_000)
        assert read(store, put(store, "a.tar", data), offset) == data[offset:]

    @pytest.mark.parametrize("size", [1, 7, 4096, 99_999, 1 << 20])
    def test_a_read_gives_at_most_what_was_asked(self, store: DataStore, size: int) -> None:
        data = random.Random(1).randbytes(min(100_000, size * 1000))
        with store.open(put(store, "a.tar", data)) as stream:
            parts = list(iter(lambda: stream.read(size), b""))
            assert b"".join(parts) == data
            assert max(map(len, parts)) <= size
            assert stream.read(size) == b""

    def test_streams_of_one_shard_are_independent(self, store: DataStore) -> None:
        data = random.Random(1).randbytes(100_000)
        url = put(store, "a.tar", data)
        with store.open(url) as one, store.open(url, 10) as two:
            assert one.read(5) == data[:5]
            assert two.read(5) == data[10:15]
        with store.open(url) as three:
            assert three.read(5) == data[:5]

    @pytest.mark.parametrize("position", [0, 3, 10])
    def test_a_file_is_put_whole_wherever_it_stands(self, store: DataStore, position: int) -> None:
        with store.spool() as file:
            file.write(b"0123456789")
            file.seek(position)
            url = store.put("a.tar", file)
        assert read(store, url) == b"0123456789"

    def test_a_spooled_file_that_is_not_put_is_not_listed(self, store: DataStore) -> None:
        with store.spool() as file:
            file.write(b"data")
            assert list(store.list()) == []
        assert list(store.list()) == []

    def test_a_file_that_fails_midway_leaves_nothing(self, store: DataStore) -> None:
        store.delete(url := put(store, "a.tar", b"before"))
        with store.spool() as file:
            file.write(bytes(1 << 20))
            try:
                store.put("a.tar", interrupted(file, 1 << 19, _fail))
            except OSError:
                assert list(store.list()) == []
                with pytest.raises(ShardNotFoundError):
                    read(store, url)
                assert put(store, "a.tar", b"again") == url
            else:
                # It may have found a way around the reads that fail.
                assert read(store, url) == bytes(1 << 20)

    def test_what_is_there_is_never_overwritten(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"first")
        with pytest.raises(ConflictError):
            put(store, "a.tar", b"second")
        assert read(store, url) == b"first"
        assert list(store.list()) == [url]

    def test_the_name_of_a_deleted_shard_is_free(self, store: DataStore) -> None:
        store.delete(put(store, "a.tar", b"first"))
        assert read(store, put(store, "a.tar", b"second")) == b"second"

    def test_one_of_many_threads_gets_a_name(self, store: DataStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: processes.try_put(store, "a.tar", n), range(8)))
        assert sum(won) == 1
        (url,) = store.list()
        assert read(store, url) == processes.content(won.index(True))

    def test_one_of_many_processes_gets_a_name(
        self, store: DataStore, options: Mapping[str, Any]
    ) -> None:
        won = everywhere(self.writers, processes.put_own_content, dict(options), "a.tar")
        assert won.count(None) == self.writers - 1
        (url,) = store.list()
        assert read(store, url) == next(content for content in won if content is not None)

    def test_listing_is_sorted_and_by_prefix(self, store: DataStore) -> None:
        names = ["b/2.tar", "a/1.tar", "a/0.tar", "ab/0.tar", "a/deep/er/0.tar", "B.tar"]
        urls = {name: put(store, name, name.encode()) for name in names}
        assert list(store.list()) == sorted(urls.values())
        for prefix in ("a", "a/", "a/d", "ab", "b/2.tar", "nope", "A", "tar"):
            found = sorted(url for name, url in urls.items() if name.startswith(prefix))
            assert list(store.list(prefix)) == found, prefix

    def test_more_shards_are_listed_than_fit_a_page(self, store: DataStore) -> None:
        names = [f"many/{number:05d}.tar" for number in range(self.many)]
        with ThreadPoolExecutor(8) as pool:
            urls = list(pool.map(lambda name: put(store, name, b""), names))
        assert list(store.list("many/")) == sorted(urls)
        assert len(set(urls)) == self.many

    @pytest.mark.parametrize(
        "prefix",
        ["*", "a*", "?", "a?", "[a]", "%", "a%", "_", "a_", ".*", "a.", "{a,b}", "\\", "../", "/"],
    )
    def test_characters_of_a_prefix_mean_only_themselves(
        self, store: DataStore, prefix: str
    ) -> None:
        put(store, "abc.tar", b"data")
        put(store, "b/abc.tar", b"data")
        assert list(store.list(prefix)) == []

    def test_a_shard_that_is_not_there_is_not_found(self, store: DataStore) -> None:
        store.delete(url := put(store, "a.tar", b"data"))
        for act in (store.open, store.delete):
            with pytest.raises(ShardNotFoundError) as caught:
                act(url)
            assert isinstance(caught.value, KeyError)
            assert isinstance(caught.value, FileNotFoundError)

    @pytest.mark.parametrize("url", FOREIGN_URLS, ids=ascii)
    def test_urls_of_others_are_neither_opened_nor_deleted(
        self, store: DataStore, url: str
    ) -> None:
        for act in (store.open, store.delete):
            with pytest.raises((ShardNotFoundError, InvalidNameError)):
                act(url)

    def test_a_url_does_not_lead_out_of_the_store(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        for way in ("/../../../../../../etc/passwd", "?a", "#a", "\0", "\ud800"):
            for act in (store.open, store.delete):
                with pytest.raises((ShardNotFoundError, InvalidNameError)):
                    act(url + way)
        assert read(store, url) == b"data"

    @pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
    def test_a_name_is_stored_exactly_or_refused(self, store: DataStore, name: str) -> None:
        victim = put(store, "victim.tar", b"victim")
        try:
            url = put(store, name, b"hostile")
        except InvalidNameError:
            assert list(store.list()) == [victim]
        else:
            assert list(store.list()) == sorted([victim, url])
            assert list(store.list(name)) == [url]
            assert read(store, url) == b"hostile"
            with store.create_source([url]).open_shard(url) as stream:
                assert stream.read() == b"hostile"
            store.delete(url)
        assert read(store, victim) == b"victim"

    def test_samples_are_written_and_read_back(self, store: DataStore) -> None:
        shards = store.write_samples(readings(10), prefix="mine", cut=Cut(maxcount=4))
        urls = [shard.url for shard in shards]
        assert [shard.count for shard in shards] == [4, 4, 2]
        assert list(store.list("mine/")) == urls
        for shard in shards:
            data = read(store, shard.url)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
        ds = Dataset[Reading](store.create_source(urls))
        assert list(ds) == readings(10)
        assert list(ds) == readings(10)

    def test_a_dataset_is_written_twice_without_a_clash(self, store: DataStore) -> None:
        url = put(store, "a.tar", shard_of(readings(5)))
        ds = Dataset[Reading](store.create_source([url]))
        first = store.write_shards(ds, prefix="copies/v1", maxcount=2)
        second = store.write_shards(ds, prefix="copies/v1")
        assert len({*first, *second}) == 4
        assert list(Dataset[Reading](store.create_source(first))) == readings(5)

    def test_an_index_writes_and_loads_through_it(self, store: DataStore) -> None:
        with Index(provider="memory", data_store=store) as index:
            index.write({"train": readings(7), "test": readings(2, 7)}, name="mine", maxcount=3)
            index.write(readings(1), name="mine")
            splits = load_dataset("@local/mine@1", Reading, index=index)
            assert list(splits["train"]) == readings(7)
            assert list(splits["test"]) == readings(2, 7)
            newest = load_dataset("@local/mine", Reading, split="train", index=index)
            assert list(newest) == readings(1)

    def test_samples_that_fail_midway_leave_nothing(self, store: DataStore) -> None:
        kept = put(store, "mine/kept.tar", b"data")
        with pytest.raises(ZeroDivisionError):
            store.write_samples(_failing(5), prefix="mine", cut=Cut(maxcount=2))
        with Index(provider="memory", data_store=store) as index:
            with pytest.raises(ZeroDivisionError):
                index.write(_failing(5), name="mine", maxcount=2)
            assert index.list_datasets() == []
        with pytest.raises(EmptyDatasetError):
            store.write_samples([], prefix="mine")
        assert list(store.list()) == [kept]

    def test_a_copy_of_it_works(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"data")
        copy = pickle.loads(pickle.dumps(store))  # noqa: S301 -- it was pickled right here
        assert read(copy, url) == b"data"
        assert elsewhere(read, store, url) == b"data"
        assert elsewhere(put, copy, "b.tar", b"more") in list(store.list())

    def test_threads_share_it(self, store: DataStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda n: processes.use(store, f"thread-{n}"), range(16)))
        assert list(store.list()) == []

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_forked_process_uses_it_as_well(self, options: Mapping[str, Any]) -> None:
        assert elsewhere(processes.use_on_both_sides_of_a_fork, dict(options))

    def test_it_shows_no_secret(self, store: DataStore, options: Mapping[str, Any]) -> None:
        url = put(store, "a.tar", b"data")
        store.delete(url)
        with pytest.raises(ShardNotFoundError) as caught:
            store.open(url)
        shown = [repr(store), url, repr(store.create_source([url])), repr(caught.value.details)]
        for secret in secrets_in(options):
            assert not any(secret in text for text in [*shown, str(caught.value)])

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a peak anew")
    def test_a_large_shard_takes_little_memory(self, options: Mapping[str, Any]) -> None:
        written, got, grown = elsewhere(processes.carry, dict(options), self.large_bytes)
        assert got == written
        assert grown <= self.large_memory

    def test_a_writer_killed_midway_leaves_nothing(
        self, store: DataStore, options: Mapping[str, Any]
    ) -> None:
        size = self.large_bytes
        with child(processes.put_and_stall, dict(options), "a.tar", size) as writer:
            heard = writer.hear()
            writer.kill()
        if heard == "stored":
            (url,) = store.list()
            assert read(store, url) == bytes(size)
        else:
            assert list(store.list()) == []
            assert read(store, put(store, "a.tar", b"again")) == b"again"

    def test_writers_killed_at_any_moment_leave_whole_shards_only(
        self, store: DataStore, options: Mapping[str, Any]
    ) -> None:
        moments = random.Random(1)
        for _ in range(self.kills):
            with child(processes.write_for_ever, dict(options)) as writer:
                writer.hear()
                time.sleep(moments.random() * 0.1)
                writer.kill()
        urls = list(store.list())
        assert urls
        for url in urls:
            samples = list(Dataset[Reading](store.create_source([url])))
            assert samples in (readings(7), readings(7, 7), readings(6, 14))


def _fail() -> None:
    raise OSError("the spooled file cannot be read any further")


def _failing(count: int) -> Iterator[Reading]:
    yield from readings(count)
    raise ZeroDivisionError
