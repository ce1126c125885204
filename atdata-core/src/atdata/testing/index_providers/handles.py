"""How the kit opens a provider: through the public door, as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from atdata.index.provider import IndexProvider, Key
from atdata.testing.index_processes import opened
from atdata.testing.kit import Kit

OpenStore = Callable[[], IndexProvider]

A = Key("kind", "a", "")
B = Key("kind", "b", "")
ONE, TWO = b'{"n":1}', b'{"n":2}'


class ProviderKit(Kit):
    """A kit whose tests use handles on one place, which is empty at first."""

    is_shared = True

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Return the arguments of ``Index`` for a new, empty place."""
        message = f"{type(self).__qualname__} needs a fixture `options`: the arguments of Index()"
        raise NotImplementedError(message)

    @pytest.fixture
    def open_store(self, options: dict[str, Any]) -> Iterator[OpenStore]:
        """Give a callable that opens one more handle on the place; all are closed in the end."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(opened(options))

    @pytest.fixture
    def store(self, open_store: OpenStore) -> IndexProvider:
        """Open one handle."""
        return open_store()


def names(store: IndexProvider, kind: str = "kind") -> list[str]:
    """Return the names of all records of a kind."""
    return [key.name for key, _ in store.scan(kind)]
