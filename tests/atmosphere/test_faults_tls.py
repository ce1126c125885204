"""Servers are known by their certificates, though connected to by address."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.services.tls_server import tls_server

from atdata.errors import StorageError
from atdata_atmosphere.client import AtmosphereClient

QUERY = "com.atproto.server.describeServer"


def _ask(url: str) -> str:
    with closing(AtmosphereClient(url, allow_private=True, max_wait=0)) as client:
        return str(client.query(QUERY)["did"])


def test_a_server_whose_certificate_nobody_trusts_is_not_asked(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (url, _), pytest.raises(StorageError, match="CERTIFICATE"):
        _ask(url)


def test_a_server_is_known_by_the_name_in_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path) as (url, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert _ask(url) == "did:web:localhost"
        with pytest.raises(StorageError, match="CERTIFICATE"):
            _ask(url.replace("localhost", "127.0.0.1"))


def test_a_login_over_tls_needs_a_certificate_too(tmp_path: Path) -> None:
    with (
        tls_server(tmp_path) as (url, _),
        closing(AtmosphereClient(url, allow_private=True)) as client,
        pytest.raises(StorageError, match="out of reach"),
    ):
        client.login("alice.test", "password")
