"""The kit of data stores tells what is broken: each fault fails the tests that are about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.plugins.distributions import Site
from tests.core.testing.kit_runs import failures

PLUGIN = """
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_data_stores(register):
        for name in {names}:
            register(name, f"tests.core.testing.broken_stores:{{name}}")
"""
MODULE = """
    import pytest
    from atdata.testing import DataStoreTests

    class Small(DataStoreTests):
        many, writers, kills = 20, 3, 2
        large_bytes, large_memory = 24 << 20, 12 << 20

        @pytest.fixture
        def options(self, tmp_path):
            root = str(tmp_path / "one" / "root")
            return {"store": type(self).__name__[4:], "root": root, "password": "hunter2"}
"""
FAULTS: dict[str, set[str]] = {
    "Overwriting": {
        "test_what_is_there_is_never_overwritten",
        "test_one_of_many_threads_gets_a_name",
    },
    "Racing": {"test_one_of_many_threads_gets_a_name"},
    "NotAtomic": {
        "test_a_file_that_fails_midway_leaves_nothing",
        "test_a_writer_killed_midway_leaves_nothing_that_cannot_be_removed",
    },
    "FromHere": {"test_a_file_is_put_whole_wherever_it_stands"},
    "Gluttonous": {"test_a_large_shard_takes_little_memory"},
    "Unsorted": {"test_listing_is_sorted_and_by_prefix"},
    "ListingParts": {"test_a_spooled_file_that_is_not_put_is_not_listed"},
    "OnePage": {"test_more_shards_are_listed_than_fit_a_page"},
    "Globbing": {"test_characters_of_a_prefix_mean_only_themselves"},
    "FolderListing": {"test_listing_is_sorted_and_by_prefix"},
    "IgnoringOffsets": {"test_it_opens_at_an_offset"},
    "EndingEarly": {"test_a_read_gives_at_most_what_was_asked", "test_it_opens_at_an_offset"},
    "OneStream": {"test_streams_of_one_shard_are_independent"},
    "ForeignErrors": {"test_a_shard_that_is_not_there_is_not_found"},
    "DeletingSilently": {
        "test_a_shard_that_is_not_there_is_not_found",
        "test_urls_of_others_are_neither_opened_nor_deleted",
    },
    "Keeping": {
        "test_what_is_put_is_opened_listed_and_deleted",
        "test_samples_that_fail_midway_leave_nothing",
    },
    "Escaping": {"test_a_name_is_stored_exactly_or_refused"},
    "Normalising": {"test_a_name_is_stored_exactly_or_refused"},
    "Unpicklable": {"test_a_copy_of_it_works"},
    "Talkative": {"test_it_shows_no_secret"},
}


@pytest.fixture
def module(tmp_path: Path) -> str:
    """Install the stores, sound and broken, and return tests that hold each to the kit."""
    names = ["Sound", *FAULTS]
    Site(tmp_path).install("broken", PLUGIN.format(names=names))
    return MODULE + "".join(f"    class Test{name}(Small): pass\n" for name in names)


def test_each_broken_store_fails_what_tells_its_fault(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, FAULTS) == FAULTS


@pytest.mark.slow
def test_a_sound_store_fails_nothing(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, {"Sound": set()}) == {}
