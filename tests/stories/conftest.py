"""A place for each story: every provider with every store that plugins have registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stories.places import PROVIDERS, STORES, Place, make_place, variants


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" not in metafunc.fixturenames:
        return
    pairs = [
        (provider, store)
        for provider in variants("index provider", PROVIDERS)
        for store in variants("data store", STORES)
    ]
    ids = [f"{provider[1]}, {store[1]}" for provider, store in pairs]
    metafunc.parametrize("_where", pairs, ids=ids)


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
