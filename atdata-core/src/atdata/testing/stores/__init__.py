"""``DataStoreTests``: what every data store promises, as tests that its author inherits."""

from __future__ import annotations

from atdata.testing.stores.lives import LifeTests
from atdata.testing.stores.names import NameTests
from atdata.testing.stores.samples import SampleTests
from atdata.testing.stores.shards import ShardTests

__all__ = ["DataStoreTests"]


class DataStoreTests(ShardTests, NameTests, SampleTests, LifeTests):
    """Hold a data store to its contract, ``atdata.stores.DataStore``.

    A subclass has a fixture ``options`` that returns the registered name of the store as
    ``"store"``, and the keyword arguments of its constructor for a new, empty place that nothing
    else writes to. They must be picklable, since other processes open the place as well::

        class TestMyStore(DataStoreTests):
            @pytest.fixture
            def options(self, tmp_path: Path) -> dict[str, Any]:
                return {"store": "mine", "folder": str(tmp_path)}

    Class attributes set what the costly tests cost. Tests that a subclass adds may use the fixture
    ``store``.
    """
