"""``IndexProviderTests``: what every index provider promises, as tests its author inherits."""

from __future__ import annotations

from atdata.testing.index_providers.commits import CommitTests
from atdata.testing.index_providers.contention import ContentionTests
from atdata.testing.index_providers.keys import KeyTests
from atdata.testing.index_providers.lives import LifeTests
from atdata.testing.index_providers.scans import ScanTests

__all__ = ["IndexProviderTests"]


class IndexProviderTests(CommitTests, KeyTests, ScanTests, LifeTests, ContentionTests):
    """Hold an index provider to its contract.

    A subclass has a fixture ``options`` that returns the arguments of ``Index`` for a new, empty
    place; they must be picklable, since other processes open the place as well::

        class TestMyProvider(IndexProviderTests):
            @pytest.fixture
            def options(self, tmp_path: Path) -> dict[str, Any]:
                return {"provider": "mine", "folder": str(tmp_path)}

    ``is_shared = False`` leaves out what takes two handles on one place, for providers whose
    handles share nothing, such as those in memory. Tests that a subclass adds may use the
    fixtures ``store``, a handle that is closed in the end, and ``open_store``, which opens more.
    The whole starts a dozen processes, and takes some fifteen seconds on an idle machine.
    """
