"""Locks on open files: one holder at a time, and none after its process has ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atdata import locks
from atdata.locks import lock, try_lock
from atdata.testing.children import Tell, child


@contextmanager
def opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def test_one_handle_has_it_until_it_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as second:
        with opened(tmp_path / "a") as first:
            assert try_lock(first)
            assert try_lock(second) is False
        assert try_lock(second)


def test_another_waits_until_it_is_free(tmp_path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with opened(tmp_path / "a") as second:
            lock(second)
            order.append("second")

    with opened(tmp_path / "a") as first:
        lock(first)
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def hold(tell: Tell, path: str) -> None:
    lock(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    tell("held")
    threading.Event().wait()


def test_a_process_that_is_killed_lets_go_of_it(tmp_path: Path) -> None:
    with child(hold, str(tmp_path / "a")) as other, opened(tmp_path / "a") as file:
        assert other.hear() == "held"
        assert try_lock(file) is False
        other.kill()
        assert try_lock(file)


def test_where_nobody_can_lock_nobody_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", None)
    with opened(tmp_path / "a") as first, opened(tmp_path / "a") as second:
        lock(first)
        lock(second)
        assert try_lock(second) is None


def test_on_windows_a_byte_far_from_what_is_read_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    class Windows:
        LK_NBLCK = 2

        @staticmethod
        def locking(file: int, mode: int, count: int) -> None:
            places.append(os.lseek(file, 0, os.SEEK_CUR))
            if len(places) < 3:
                raise PermissionError(13, "Permission denied")
            assert (mode, count) == (2, 1)

    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", Windows)
    with opened(tmp_path / "a") as file:
        os.write(file, b"some")
        assert try_lock(file) is False
        lock(file)
        assert os.lseek(file, 0, os.SEEK_CUR) == 4
    assert places == [0x7FFF_FFFF] * 3
