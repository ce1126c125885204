"""How the kit opens a store: through the public door, by its registered name."""

from __future__ import annotations

from typing import Any

import pytest

from atdata.stores import DataStore
from atdata.testing.kit import Kit
from atdata.testing.spooled import open_store


class StoreKit(Kit):
    """A kit whose tests use one store, which is empty at first."""

    is_shared = True
    """Whether other processes see what is put; False leaves out the tests in which they do."""
    many = 1001
    """How many shards are listed at once: more than a page of the backend's listing."""
    large_bytes = 64 << 20
    """The size of the large shard: more than the backend takes in one request."""
    large_memory = 48 << 20
    """How much more memory, in bytes, a process may take while it stores and reads that shard."""
    writers = 4
    """How many processes put shards of the same name at once."""
    kills = 5
    """How many times a process that writes is killed."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Return the name of the store and its arguments for a new, empty place."""
        message = f"{type(self).__qualname__} needs a fixture `options`: store= and its arguments"
        raise NotImplementedError(message)

    @pytest.fixture
    def store(self, options: dict[str, Any]) -> DataStore:
        """Open the store."""
        return open_store(options)
