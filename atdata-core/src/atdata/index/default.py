"""The default index: what ``@local/name`` means where no index is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atdata.home import home, make_home
from atdata.index.index import Index
from atdata.stores import LocalDiskStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atdata.protocols import AbstractDataStore, AbstractIndex

_chosen: AbstractIndex | None = None


def set_default_index(index: AbstractIndex | None) -> None:
    """Make an index the default of this process; None goes back to the user's own."""
    global _chosen  # noqa: PLW0603 -- the setting is per process by definition
    _chosen = index


def get_default_index() -> AbstractIndex:
    """Return the index that was set, or open ``~/.atdata/index.db`` with its shards beside it."""
    return _chosen if _chosen is not None else open_own()


def open_own(data_store: AbstractDataStore | None = None, allow: Sequence[str] = ()) -> Index:
    """Open the user's own index, with its store unless another is given, where ATDATA_HOME says."""
    make_home()
    store = LocalDiskStore() if data_store is None else data_store
    return Index(path=home() / "index.db", data_store=store, allow=allow)


def open_local(_ref: str) -> AbstractIndex:
    """Answer for ``@local/`` references, as registered through the authorities hook."""
    return get_default_index()
