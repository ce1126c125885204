"""What ``load_dataset`` finds at URLs of a plugin, which may list them or not."""

from __future__ import annotations

import pytest
from tests.core.plugins.distributions import Site

from atdata import load_dataset
from atdata.errors import NoDataFilesError

PLUGIN = """
    from fnmatch import fnmatchcase

    from atdata.dataset import ShardSource
    from atdata.hookspecs import hookimpl


    class Source(ShardSource):
        def __init__(self, urls):
            self.urls = urls

        @classmethod
        def from_urls(cls, urls):
            return cls(urls)

        def list_shards(self):
            return list(self.urls)


    class Listing(Source):
        @classmethod
        def find_urls(cls, pattern):
            names = ["a.tar", "sub/test-b.tar.gz", "c.txt"]
            return [f"list://x/{n}" for n in names if fnmatchcase(f"list://x/{n}", pattern)]


    @hookimpl
    def register_data_sources(register):
        register("mute", Source)
        register("list", Listing)
"""


@pytest.fixture(autouse=True)
def _installed(site: Site) -> None:
    site.install("listing", PLUGIN)


@pytest.mark.parametrize("url", ["list://x", "list://x/", "list://x/*tar*"])
def test_a_source_that_lists_gives_folders_and_wildcards(url: str) -> None:
    found = load_dataset(url)
    assert {split: ds.list_shards() for split, ds in found.items()} == {
        "train": ["list://x/a.tar"],
        "test": ["list://x/sub/test-b.tar.gz"],
    }


@pytest.mark.parametrize("url", ["mute://x/", "mute://x/*.tar"])
def test_a_source_that_lists_nothing_says_what_to_do(url: str) -> None:
    with pytest.raises(NoDataFilesError, match="does not list files there; name the shards"):
        load_dataset(url)


@pytest.mark.parametrize("url", ["mute://x/a.tar", "mute://x/a", "list://y"])
def test_what_is_named_without_wildcards_is_a_shard(url: str) -> None:
    assert load_dataset(url, split="train").list_shards() == [url]
