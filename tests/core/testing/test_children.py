"""The processes that kits start: what becomes of results, failures and sudden ends."""

from __future__ import annotations

import os
from typing import Any

import pytest

from atdata.testing.children import Tell, child, elsewhere, everywhere, in_fork
from atdata.testing.spooled import secrets_in


def divide(number: int) -> float:
    return 1 / number


def end_at_once(code: int) -> None:
    os._exit(code)


def tell_twice(tell: Tell, told: Any) -> None:
    tell(told)
    tell(os.getpid())


def test_a_result_comes_from_another_process() -> None:
    assert elsewhere(divide, 4) == 0.25
    assert elsewhere(os.getpid) != os.getpid()


def test_a_failure_in_another_process_is_told_with_its_traceback() -> None:
    with pytest.raises(AssertionError, match=r"(?s)in divide.*ZeroDivisionError"):
        elsewhere(divide, 0)


def test_a_process_that_ends_at_once_is_no_result() -> None:
    with pytest.raises(AssertionError, match="exit code 3"):
        elsewhere(end_at_once, 3)


def test_a_child_tells_in_order_and_can_be_killed() -> None:
    with child(tell_twice, "first") as one:
        assert one.hear() == "first"
        assert one.hear() == one.process.pid
        one.kill()
        assert not one.process.is_alive()


def test_several_processes_each_give_a_result() -> None:
    pids = everywhere(3, os.getpid)
    assert len({*pids, os.getpid()}) == 4


def in_forks() -> list[bool]:
    return [in_fork(lambda: True), in_fork(lambda: False), in_fork(lambda: divide(0) > 0)]


def test_a_forked_child_tells_whether_all_went_well() -> None:
    assert elsewhere(in_forks) == [True, False, False]


def test_secrets_are_told_by_their_names() -> None:
    options = {
        "store": "s3",
        "credentials": {"AWS_ACCESS_KEY_ID": "public", "AWS_SECRET_ACCESS_KEY": "one"},
        "session_token": "two",
        "password": "",
        "url": "redis://me:three@host/0",
        "port": 5,
    }
    assert sorted(secrets_in(options)) == ["one", "three", "two"]
