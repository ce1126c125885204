"""Names, prefixes and URLs, and what they must never lead to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from atdata.errors import ConflictError, InvalidNameError, ShardNotFoundError
from atdata.stores import DataStore
from atdata.testing import store_processes as processes
from atdata.testing.children import everywhere
from atdata.testing.kit import needs
from atdata.testing.spooled import put, read
from atdata.testing.stores.handles import StoreKit

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


class NameTests(StoreKit):
    """Names, prefixes and URLs, and what they must never lead to."""

    def test_what_is_there_is_never_overwritten(self, store: DataStore) -> None:
        url = put(store, "a.tar", b"first")
        with pytest.raises(ConflictError) as caught:
            put(store, "a.tar", b"second")
        assert "a.tar" in str(caught.value)
        assert read(store, url) == b"first"
        assert list(store.list()) == [url]
        assert read(store, put(store, "b.tar", b"second")) == b"second"

    def test_the_name_of_a_deleted_shard_is_free(self, store: DataStore) -> None:
        store.delete(put(store, "a.tar", b"first"))
        assert read(store, put(store, "a.tar", b"second")) == b"second"

    def test_one_of_many_threads_gets_a_name(self, store: DataStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: processes.try_put(store, "a.tar", n), range(8)))
        assert sum(won) == 1
        (url,) = store.list()
        assert read(store, url) == processes.content(won.index(True))

    @needs("is_shared")
    def test_one_of_many_processes_gets_a_name(self, store: DataStore) -> None:
        names = [f"{number}.tar" for number in range(5)]
        writers = everywhere(self.writers, processes.put_own_content, store, names)
        urls = list(store.list())
        assert len(urls) == len(names)
        for number, url in enumerate(urls):
            (winner,) = (writer for writer, won in writers if won[number])
            assert read(store, url) == processes.content(winner)

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
            assert "a.tar" in str(caught.value)
        assert read(store, put(store, "b.tar", b"more")) == b"more"

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
