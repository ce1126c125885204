"""A PDS with two accounts, and clients that are logged in as their owners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.services.fault_proxy import FaultProxy, fault_proxy
from tests.services.pds_server import Account, PdsServer, running_pds

from atdata import retries
from atdata_atmosphere.client import AtmosphereClient


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers that fail asked again soon, where they do not say when."""
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.02)


@pytest.fixture(scope="session")
def strict_server() -> Iterator[PdsServer]:
    """Give a PDS with a small limit for blobs and the default limits of rates, all enforced."""
    with running_pds(blob_limit=50_000, rate_limits=True) as server:
        yield server


@pytest.fixture(scope="session")
def account(pds_server: PdsServer) -> Account:
    """Give Alice's account, which all tests of this process share."""
    return pds_server.new_account("alice")


@pytest.fixture(scope="session")
def session_text(pds_server: PdsServer, account: Account) -> str:
    """Give a session of Alice's, for a login takes the server half a second."""
    client = AtmosphereClient(pds_server.url, plc_url=pds_server.plc_url, allow_private=True)
    with closing(client):
        client.login(account.handle, account.password)
        return client.export_session()


@pytest.fixture
def alice(pds_server: PdsServer, session_text: str) -> Iterator[AtmosphereClient]:
    """Give a client that is logged in as Alice."""
    client = AtmosphereClient(pds_server.url, plc_url=pds_server.plc_url, allow_private=True)
    with closing(client):
        client.login_with_session(session_text)
        yield client


@pytest.fixture
def anyone(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    """Give a client that is not logged in."""
    client = AtmosphereClient(pds_server.url, plc_url=pds_server.plc_url, allow_private=True)
    with closing(client):
        yield client


@pytest.fixture
def proxy(pds_server: PdsServer) -> Iterator[FaultProxy]:
    """Give a proxy before the PDS that commits the faults it is told to."""
    with fault_proxy(pds_server) as proxy:
        yield proxy
