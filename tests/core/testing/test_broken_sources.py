"""The kit of data sources tells what is broken: each fault fails the tests that are about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.testing.kit_runs import failures

MODULE = """
    import pytest
    from atdata.testing import DataSourceTests
    from tests.core.testing import broken_sources

    class Small(DataSourceTests):
        large_bytes, large_memory = 24 << 20, 12 << 20

        @pytest.fixture
        def make_source(self, tmp_path):
            def make(files):
                for name, data in files.items():
                    if data is not None:
                        (tmp_path / name).write_bytes(data)
                kind = getattr(broken_sources, type(self).__name__[4:])
                return kind([str(tmp_path / name) for name in files])

            return make
"""
FAULTS: dict[str, set[str]] = {
    "Reordering": {"test_its_list_is_always_the_same"},
    "Sorting": {"test_it_lists_its_shards_in_the_order_they_were_given"},
    "Looking": {"test_listing_reads_and_connects_to_nothing"},
    "GivingItself": {"test_its_list_is_always_the_same"},
    "OneStream": {
        "test_streams_are_independent",
        "test_it_reads_on_both_sides_of_a_fork",
    },
    "EndingEarly": {"test_reads_of_any_size_give_all_bytes"},
    "Padding": {"test_reads_of_any_size_give_all_bytes"},
    "Skipping": {"test_a_missing_shard_is_an_error_that_names_it"},
    "Gluttonous": {"test_a_large_shard_takes_little_memory"},
    "ForeignErrors": {
        "test_a_shard_that_is_not_listed_is_a_key_error",
        "test_a_missing_shard_is_an_error_that_names_it",
    },
    "Nameless": {"test_a_missing_shard_is_an_error_that_names_it"},
    "Translating": {
        "test_a_shard_that_is_not_listed_is_a_key_error",
        "test_a_missing_shard_is_an_error_that_names_it",
    },
    "Generous": {"test_reads_of_any_size_give_all_bytes"},
    "Once": {"test_all_spellings_give_the_same_shards"},
    "Unpicklable": {"test_a_copy_of_it_reads", "test_its_list_is_always_the_same"},
}


@pytest.fixture
def module() -> str:
    """Return tests that hold each source, sound or broken, to the kit."""
    return MODULE + "".join(f"    class Test{name}(Small): pass\n" for name in ["Sound", *FAULTS])


def test_each_broken_source_fails_what_tells_its_fault(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, FAULTS) == FAULTS


@pytest.mark.slow
def test_a_sound_source_fails_nothing(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, {"Sound": set()}) == {}
