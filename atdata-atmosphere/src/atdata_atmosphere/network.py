"""The network as a value: which servers are asked, and whether private ones may be."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from atdata_atmosphere.handles import HandleLookup
from atdata_atmosphere.identity import PLC_DIRECTORY, Identity, Resolver
from atdata_atmosphere.reach import Reach
from atdata_atmosphere.web import Web

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient

STALL_SECONDS = 60.0
MAX_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Network:
    """Settings without secrets. Connections are opened when used and belong to their process."""

    plc_url: str = PLC_DIRECTORY
    # Answers for handles that exist in development only.
    base_url: str | None = None
    allow_private: bool = False

    @classmethod
    def from_environment(cls) -> Self:
        """Return the public network, or the one that ``ATPROTO_*`` variables describe."""
        return cls(
            os.environ.get("ATPROTO_PLC_URL") or PLC_DIRECTORY,
            os.environ.get("ATPROTO_BASE_URL") or None,
            os.environ.get("ATDATA_ALLOW_PRIVATE") == "1",
        )

    @functools.cached_property
    def reach(self) -> Reach:
        """Which servers may be asked: public ones, and those named here."""
        return Reach.to(self.plc_url, self.base_url, allow_private=self.allow_private)

    def client(self) -> AtmosphereClient:
        """Return a client that reads, and is not logged in."""
        # It loads the SDK when somebody logs in, and httpx at once.
        from atdata_atmosphere.client import AtmosphereClient

        return AtmosphereClient(
            self.base_url, plc_url=self.plc_url, allow_private=self.allow_private
        )

    @property
    def web(self) -> Web:
        """The way to ask servers, which all of this process share."""
        return _web(self)

    def resolve(self, name: str) -> Identity:
        """Return who goes by a handle or DID."""
        return _resolver(self).resolve(name)

    def home(self, did: str) -> str:
        """Return the server of a DID, whose handle is not looked for."""
        return _resolver(self).home(did)[1]


@functools.cache
def _web(network: Network) -> Web:
    return Web(network.reach, timeout=STALL_SECONDS, max_wait=MAX_WAIT_SECONDS)


@functools.cache
def _resolver(network: Network) -> Resolver:
    handles = HandleLookup(network.web, pds=network.base_url)
    return Resolver(network.web, plc_url=network.plc_url, handles=handles)
