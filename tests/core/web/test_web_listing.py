"""Patterns stand for what a server's pages of links name, and for nothing elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.sample_types import Item, items
from tests.services.file_server import Exchange, FileServer
from tests.shard_files import write_shards

from atdata import load_dataset
from atdata.dataset.web import list_web, listing
from atdata.errors import LimitExceededError, NoDataFilesError, StorageError

FILES = [
    "train-000.tar",
    "train-001.tar",
    "test-000.tar",
    "notes.txt",
    "odd name & é.tar",
    "deep/train-002.tar",
    "deep/deeper/train-003.tar",
    "other/readme.tar.gz",
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Say nothing on the console."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """Give a server that lists its folders, as the standard library does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (
            "*.tar",
            ["odd%20name%20%26%20%C3%A9.tar", "test-000.tar", "train-000.tar", "train-001.tar"],
        ),
        ("train-*.tar", ["train-000.tar", "train-001.tar"]),
        ("t[er]*-000.tar", ["test-000.tar", "train-000.tar"]),
        ("odd name*.tar", ["odd%20name%20%26%20%C3%A9.tar"]),
        ("*/train-*.tar", ["deep/train-002.tar"]),
        ("deep/*.tar", ["deep/train-002.tar"]),
        ("deep/*/train-003.tar", ["deep/deeper/train-003.tar"]),
        (
            "**/train-*.tar",
            [
                "deep/deeper/train-003.tar",
                "deep/train-002.tar",
                "train-000.tar",
                "train-001.tar",
            ],
        ),
        ("deep/**", ["deep/deeper/train-003.tar", "deep/train-002.tar"]),
        ("nothing-*.tar", []),
        ("nowhere/*.tar", []),
        ("train-*.tar?token=s", ["train-000.tar?token=s", "train-001.tar?token=s"]),
    ],
)
def test_a_pattern_is_what_the_pages_name(url: str, pattern: str, found: list[str]) -> None:
    assert list_web(f"{url}/{pattern}", "shown") == [f"{url}/{name}" for name in found]


def test_a_login_stays_with_what_is_found(url: str) -> None:
    url = url.replace("://", "://user:p%40ss@")
    assert list_web(f"{url}/test-*.tar", "shown") == [f"{url}/test-000.tar"]


def test_a_dataset_is_loaded_by_a_pattern(url: str, folder: Path) -> None:
    write_shards(folder / "own" / "deeper", items(30), 3)
    for path in ("own/*/part-*.tar", "own/", "own/?x=y"):
        assert list(load_dataset(f"{url}/{path}", Item, split="train")) == items(30)
    with pytest.raises(NoDataFilesError, match="nothing-"):
        load_dataset(f"{url}/nothing-*.tar", Item)


def test_splits_are_found_below_the_pattern(url: str, folder: Path) -> None:
    for split in ("train", "test"):
        write_shards(folder / "sets" / split, items(10), 2)
    for path in ("sets/", "sets/*/*.tar", "sets/**/part-*.tar"):
        found = load_dataset(f"{url}/{path}", Item)
        assert {name: len(list(ds)) for name, ds in found.items()} == {"train": 10, "test": 10}


def _page(*links: str) -> Callable[[Exchange], None]:
    text = "".join(f'<li><A class=x HREF="{link}">{link}</A>' for link in links)
    return lambda exchange: exchange.answer(200, f"<html>{text}".encode())


def test_links_that_lead_away_are_left_out(server: FileServer) -> None:
    server.faults.append(
        _page(
            "a.tar",
            "/set/b.tar",
            f"{server.url}/set/c.tar",
            "../d.tar",
            "/d.tar",
            "http://127.0.0.1:9/set/e.tar",
            "//127.0.0.1:9/set/f.tar",
            "javascript:g.tar",
            "file:///set/h.tar",
            "i.tar/j.tar",
            "?C=N;O=D",
            "http://[",
            "a.tar?C=N",
            "",
        )
    )
    found = list_web(f"{server.url}/set/*", "shown")
    assert found == [f"{server.url}/set/{name}.tar" for name in "abc"]


def test_folders_without_end_are_refused(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 20)
    server.faults.extend(_page("more/") for _ in range(30))
    with pytest.raises(LimitExceededError, match="shown stands for more than 20 folders"):
        list_web(f"{server.url}/**/*.tar", "shown")


def test_a_page_without_end_is_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGE", 1000)
    with pytest.raises(LimitExceededError, match="1,000 bytes"):
        list_web(f"{server.url}/*.tar", "shown")


@pytest.mark.parametrize("piece", ["<a ", "<a href=", '<a href="', "<a x" + " " * 50, "<a href "])
def test_a_hostile_page_takes_no_more_time_than_its_size(server: FileServer, piece: str) -> None:
    page = piece.encode() * (4_000_000 // len(piece))
    server.faults.append(lambda exchange: exchange.answer(200, page))
    started = time.process_time()
    assert list_web(f"{server.url}/*.tar", "shown") == []
    assert time.process_time() - started < 20


def test_what_is_not_a_page_lists_nothing(server: FileServer) -> None:
    assert list_web(f"{server.url}/*.tar", "shown") == []


def test_a_page_that_is_refused_is_an_error(server: FileServer) -> None:
    server.faults.append(lambda exchange: exchange.answer(403))
    with pytest.raises(StorageError, match="shown cannot be read: HTTP status 403"):
        list_web(f"{server.url}/*.tar?token=s3cret", "shown")
