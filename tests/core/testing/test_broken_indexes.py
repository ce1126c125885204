"""The kit of indexes tells what is broken: each fault fails the tests that are about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.testing.kit_runs import failures

MODULE = """
    import pytest
    from atdata.testing import IndexTests
    from tests.core.testing import broken_indexes

    class Filed(IndexTests):
        @pytest.fixture
        def open_index(self, tmp_path):
            kind = getattr(broken_indexes, type(self).__name__[4:])
            opened = []
            yield lambda: opened.append(kind(path=tmp_path / "index.db")) or opened[-1]
            for index in opened:
                index.close()
"""
FAULTS: dict[str, set[str]] = {
    "OldestFirst": {"test_of_a_name_that_is_inserted_again_the_newest_is_got"},
    "MatchingPrefixes": {"test_what_is_not_there_is_a_key_error"},
    "MissingAsNone": {
        "test_what_is_not_there_is_a_key_error",
        "test_a_schema_that_is_not_there_is_a_key_error",
    },
    "NormalisingNames": {
        "test_names_that_people_give_are_taken",
        "test_p1_p5_a_hostile_name_is_refused_or_kept_exactly",
    },
    "DroppingMetadata": {
        "test_metadata_come_back_as_they_were",
        "test_another_handle_finds_what_was_inserted",
    },
    "MetadataAsText": {"test_metadata_come_back_as_they_were"},
    "ExpandingURLs": {"test_a_dataset_that_was_inserted_is_got_and_listed"},
    "PublishingAgain": {
        "test_datasets_of_one_type_share_its_schema",
        "test_a_schema_is_published_with_the_first_dataset_of_its_type",
    },
    "IgnoringSchemas": {"test_a_schema_that_is_named_is_the_one_that_is_kept"},
    "Republishing": {"test_k2_a_version_that_exists_never_gets_other_fields"},
    "ForgettingDescriptions": {"test_a_published_schema_is_got_and_listed"},
    "OneTypePerName": {"test_versions_with_other_fields_are_other_types"},
    "ForgettingOptional": {
        "test_a_type_comes_back_with_its_fields",
        "test_a_type_that_came_back_reads_and_writes_the_same_samples",
    },
    "NewTypeEachTime": {"test_a_schema_gives_the_same_class_each_time"},
    "ListingByPosition": {"test_datasets_are_listed_while_others_are_inserted"},
    "ListingAtOnce": {"test_datasets_are_listed_while_others_are_inserted"},
    "OnePage": {"test_threads_insert_into_one_index"},
    "Caching": {"test_another_handle_finds_what_was_inserted"},
}


@pytest.fixture
def module() -> str:
    """Return tests that hold each index, sound or broken, to the kit."""
    return MODULE + "".join(f"    class Test{name}(Filed): pass\n" for name in ["Sound", *FAULTS])


def test_each_broken_index_fails_what_tells_its_fault(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, FAULTS) == FAULTS


@pytest.mark.slow
def test_a_sound_index_fails_nothing(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, {"Sound": set()}) == {}
