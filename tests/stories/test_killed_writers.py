"""Writers killed at any moment: datasets are there whole or not at all, and the rest is removed."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from tests.stories import acts
from tests.stories.conftest import on_each_store
from tests.stories.places import Place
from tests.stories.processes import at_work

from atdata import Index


def check_whole(place: Place, names: list[str]) -> None:
    for name in names:
        assert acts.load(place, name) == acts.expected(5)
        assert acts.load(place, name, "test") == acts.expected(3)


def named(index: Index) -> set[str]:
    return {url for entry in index.datasets for url in entry.data_urls}


def leftovers(place: Place, index: Index) -> list[str]:
    """Look for all that no dataset names, without asking the index."""
    shards = set(place.open_store().list()) - named(index)
    spooled = Path(place.store["root"]).glob(".spool/*.tmp") if place.store_name == "disk" else ()
    return sorted([*shards, *map(str, spooled)])


@on_each_store
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_w3_killed_writers_leave_what_gc_finds_and_removes_while_others_write(
    place: Place, kills: int
) -> None:
    moments = random.Random(kills)
    for number in range(kills):
        with at_work(acts.write_on, place, f"killed-{number:03d}"):
            time.sleep(moments.random() * 0.4)
    # A server may still be storing what the last one had sent.
    time.sleep(0.5)
    with place.open() as index:
        left = leftovers(place, index)
        assert sorted(one.url for one in index.find_leftovers().found) == left
        before = [entry.name for entry in index.datasets]
        with at_work(acts.write_on, place, "steady"):
            while "steady/0000" not in acts.names(place):
                time.sleep(0.01)
            removed = index.delete_leftovers()
            assert sorted(one.url for one in removed.found) == left
            assert removed.at_work <= 1
            after = len(acts.names(place))
            while len(acts.names(place)) < after + 3:
                index.delete_leftovers()
        check_whole(place, [*before[:: 1 + len(before) // 10], *steady(place)])
        index.delete_leftovers()
        index.delete_leftovers()
        assert leftovers(place, index) == []
        assert index.provider.scan("write") == []


def steady(place: Place) -> list[str]:
    return [name for name in acts.names(place) if name.startswith("steady/")][:20]
