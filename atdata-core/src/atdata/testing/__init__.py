"""Checks that authors of lenses and backends run in the tests of their own code."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from atdata.testing.lenses import check_lens_laws

if TYPE_CHECKING:
    from atdata.testing.index_providers import IndexProviderTests
    from atdata.testing.indexes import IndexTests
    from atdata.testing.kit import Kit
    from atdata.testing.sources import DataSourceTests
    from atdata.testing.stores import DataStoreTests

__all__ = [
    "DataSourceTests",
    "DataStoreTests",
    "IndexProviderTests",
    "IndexTests",
    "Kit",
    "check_lens_laws",
]

# The kits need pytest, which not everybody has who checks a lens.
_KITS = {
    "DataSourceTests": "atdata.testing.sources",
    "DataStoreTests": "atdata.testing.stores",
    "IndexProviderTests": "atdata.testing.index_providers",
    "IndexTests": "atdata.testing.indexes",
    "Kit": "atdata.testing.kit",
}

if pytest := sys.modules.get("pytest"):
    # Before they are imported: a failed assert in a kit then shows what was compared.
    pytest.register_assert_rewrite(*sorted({*_KITS.values()}))


def __getattr__(name: str) -> Any:
    if name in _KITS:
        return getattr(import_module(_KITS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
