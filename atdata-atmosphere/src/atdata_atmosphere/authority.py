"""Who answers for ``@handle/name``, ``atdata://...`` and ``at://...`` where no index is given."""

from __future__ import annotations

from atdata_atmosphere.index import AtmosphereIndex
from atdata_atmosphere.network import Network


def open_network(_ref: str) -> AtmosphereIndex:
    """Open the network for reading, without a login and without a saved session."""
    return AtmosphereIndex(Network.from_environment().client())
