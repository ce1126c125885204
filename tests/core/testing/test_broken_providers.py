"""The kit of index providers tells what is broken: each fault fails the tests that are about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.plugins.distributions import Site
from tests.core.testing.kit_runs import failures

PLUGIN = """
    from atdata.hookspecs import hookimpl

    @hookimpl
    def register_index_providers(register):
        for name, module in {modules}.items():
            register(name, f"tests.core.testing.{{module}}:{{name}}")
"""
MODULE = """
    import pytest
    from atdata.testing import IndexProviderTests

    class Filed(IndexProviderTests):
        @pytest.fixture
        def options(self, tmp_path):
            return {"provider": type(self).__name__[4:], "file": str(tmp_path / "records")}
"""
COMMITS: dict[str, set[str]] = {
    "IgnoringExpectations": {
        "test_absent_refuses_what_exists",
        "test_an_expected_value_must_be_there",
        "test_one_failed_expectation_undoes_the_whole_commit",
        "test_k2_one_of_many_who_expect_the_same_wins",
    },
    "ComparingBytes": {"test_an_expected_value_is_compared_as_json"},
    "ComparingLoosely": {"test_what_is_not_equal_json_is_not_what_was_expected"},
    "ConflictAsStorageError": {"test_absent_refuses_what_exists"},
    "NamelessConflict": {
        "test_absent_refuses_what_exists",
        "test_a_conflict_late_in_a_large_commit_undoes_all_of_it",
    },
    "NotAtomic": {
        "test_one_failed_expectation_undoes_the_whole_commit",
        "test_a_conflict_late_in_a_large_commit_undoes_all_of_it",
        "test_a_deletion_is_undone_with_the_rest",
    },
    "Dribbling": {"test_w3_a_killed_writer_leaves_whole_commits_only"},
    "Streaming": {
        "test_operations_that_raise_half_way_change_nothing",
        "test_two_operations_on_one_key_are_refused_and_not_to_be_retried",
    },
    "Poisoned": {"test_b2_a_failed_call_does_not_spoil_the_next"},
    "RepeatingOps": {"test_two_operations_on_one_key_are_refused_and_not_to_be_retried"},
    "TakingAnyBody": {
        "test_values_that_some_backend_could_not_hold_are_refused_by_all",
    },
    "TakingAnyKey": {
        "test_p5_keys_that_some_backend_could_not_hold_are_refused_by_all",
        "test_a_scan_refuses_arguments_that_mean_nothing",
    },
    "RewritingNumbers": {
        "test_a_value_that_was_put_is_got_and_scanned",
        "test_what_was_got_is_what_a_writer_may_expect",
    },
    "EmptyAsNull": {"test_a_value_that_was_put_is_got_and_scanned"},
    "NoLargeValues": {"test_a_value_may_take_a_megabyte"},
    "NotFoundAsKeyError": {"test_a_missing_key_is_not_found_and_named"},
}
SCANS: dict[str, set[str]] = {
    "OrderedByUTF16": {"test_a_scan_sees_one_kind_or_one_name_in_key_order"},
    "OrderedIgnoringCase": {"test_a_scan_sees_one_kind_or_one_name_in_key_order"},
    "OrderedByNumber": {"test_a_scan_sees_one_kind_or_one_name_in_key_order"},
    "AfterInclusive": {
        "test_pages_hold_every_record_once",
        "test_a_limit_counts_what_was_asked_for_only",
    },
    "AfterMustExist": {
        "test_pages_go_on_after_a_key_that_is_gone",
        "test_after_may_lie_outside_the_name_that_is_scanned",
    },
    "AfterVersionOnly": {
        "test_pages_hold_every_record_once",
        "test_after_may_lie_outside_the_name_that_is_scanned",
    },
    "IgnoringReverse": {
        "test_a_scan_sees_one_kind_or_one_name_in_key_order",
        "test_pages_hold_every_record_once",
    },
    "LimitingFirst": {"test_a_limit_counts_what_was_asked_for_only"},
    "ZeroAsNoLimit": {"test_a_limit_of_nothing_gives_nothing"},
    "Capped": {"test_a_scan_without_limit_holds_everything"},
    "CountingPages": {"test_pages_lose_and_double_nothing_while_others_write"},
    "TornPages": {"test_a_page_is_a_snapshot_while_others_write"},
    "Globbing": {"test_p3_p5_special_characters_are_only_characters"},
    "LikeScan": {"test_p3_p5_special_characters_are_only_characters"},
    "IgnoringCase": {"test_p5_names_that_look_alike_are_different"},
    "Joining": {"test_p4_the_parts_of_a_key_are_never_confused"},
}
LIVES: dict[str, set[str]] = {
    "ClosingOnce": {"test_a_closed_store_says_so_and_closes_again"},
    "NeverClosed": {
        "test_a_closed_store_says_so_and_closes_again",
        "test_a_store_that_was_never_used_closes",
    },
    "ForeignAfterClose": {
        "test_a_closed_store_says_so_and_closes_again",
        "test_closing_under_the_hands_of_threads_is_only_a_storage_error",
    },
    "ClosingForAll": {"test_closing_one_handle_leaves_the_others_open"},
    "Caching": {"test_a_second_handle_sees_at_once_what_the_first_committed"},
    "Forgetting": {"test_what_was_committed_is_there_when_it_is_opened_again"},
    "Racing": {
        "test_k2_one_of_many_who_expect_the_same_wins",
        "test_k3_threads_that_append_versions_lose_none",
        "test_threads_that_change_what_they_read_lose_nothing",
    },
    "RacingProcesses": {
        "test_k1_k3_k4_processes_that_publish_and_insert_in_a_fresh_place_lose_nothing"
    },
    "Deadlocking": {
        "test_writers_of_the_same_keys_in_any_order_do_not_block_each_other",
    },
    "OneThread": {"test_k6_sixteen_threads_share_one_store"},
    "OneProcess": {
        "test_f3_children_and_parent_go_on_after_a_fork",
        "test_f4_a_fork_while_threads_write_leaves_a_child_that_can_go_on",
    },
    "Unpicklable": {
        "test_f2_a_handle_is_pickled_as_one_that_works_or_says_that_it_is_not",
    },
    "PickledBroken": {
        "test_f2_a_handle_is_pickled_as_one_that_works_or_says_that_it_is_not",
        "test_f2_a_handle_that_is_pickled_works_in_another_process",
    },
    "PickledElsewhere": {
        "test_f2_a_handle_is_pickled_as_one_that_works_or_says_that_it_is_not",
    },
    "CreatingTwice": {"test_k4_many_threads_open_a_fresh_place_at_once"},
}
FAULTS = {"broken_commits": COMMITS, "broken_scans": SCANS, "broken_lives": LIVES}
# Until a child that waits for ever is given up, and until a counter-example is small.
SLOW_FAULTS = {
    "HoldingItsLock": {"test_f4_a_fork_while_threads_write_leaves_a_child_that_can_go_on"},
    "IgnoringReverse": {"test_k8_any_history_gives_what_a_sorted_dict_gives"},
}


@pytest.fixture
def module(tmp_path: Path) -> str:
    """Install the providers, sound and broken, and return tests that hold each to the kit."""
    modules = {name: module for module, faults in FAULTS.items() for name in faults}
    modules |= {"Sound": "sound_provider", "HoldingItsLock": "broken_lives"}
    Site(tmp_path).install("broken", PLUGIN.format(modules=modules))
    return MODULE + "".join(f"    class Test{name}(Filed): pass\n" for name in modules)


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_each_broken_provider_fails_what_tells_its_fault(
    tmp_path: Path, module: str, faults: dict[str, set[str]]
) -> None:
    assert failures(tmp_path, module, faults) == faults


@pytest.mark.slow
def test_broken_providers_fail_what_takes_long_to_tell(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, SLOW_FAULTS) == SLOW_FAULTS


@pytest.mark.slow
def test_a_sound_provider_fails_nothing(tmp_path: Path, module: str) -> None:
    assert failures(tmp_path, module, {"Sound": set()}) == {}
