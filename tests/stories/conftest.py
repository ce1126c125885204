"""A place for each story: every provider with every store that plugins have registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stories.places import PROVIDERS, STORES, Place, make_place, variants

_DISK = ("disk", "disk")
_FILE = ("sqlite", "sqlite")

# What has nothing to do with the store happens on one.
on_each_provider = pytest.mark.parametrize(
    "_where",
    [(provider, _DISK) for provider in variants("index provider", PROVIDERS)],
    ids=lambda where: where[0][1],
    indirect=True,
)

on_each_store = pytest.mark.parametrize(
    "_where",
    [(_FILE, store) for store in variants("data store", STORES)],
    ids=lambda where: where[1][1],
    indirect=True,
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_placed = any(
        mark.args[0] == "_where" for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "place" not in metafunc.fixturenames or is_placed:
        return
    pairs = [
        (provider, store)
        for provider in variants("index provider", PROVIDERS)
        for store in variants("data store", STORES)
    ]
    ids = [f"{provider[1]}, {store[1]}" for provider, store in pairs]
    metafunc.parametrize("_where", pairs, ids=ids, indirect=True)


@pytest.fixture
def _where(request: pytest.FixtureRequest) -> tuple[tuple[str, str], tuple[str, str]]:
    pair: tuple[tuple[str, str], tuple[str, str]] = request.param
    return pair


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    _where: tuple[tuple[str, str], tuple[str, str]],
) -> Place:
    return make_place(request, tmp_path, *_where)
