"""Being logged in: exported, restored, renewed once, saved where nobody else reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from atproto import Session
from tests.services.fault_proxy import Exchange, FaultProxy, change, lost_reply, status
from tests.services.pds_server import Account, PdsServer

from atdata.errors import (
    AuthenticationError,
    CorruptDataError,
    InvalidNameError,
    StorageError,
    UntrustedInputError,
)
from atdata_atmosphere.client import AtmosphereClient

GET_SESSION = "com.atproto.server.getSession"
REFRESH = "com.atproto.server.refreshSession"
THING = "com.example.session"


@pytest.fixture
def own(pds_server: PdsServer) -> Account:
    """Give an account whose sessions no other test ends."""
    return pds_server.new_account()


@pytest.fixture
def client(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    """Give a client that is not logged in."""
    with closing(_client(pds_server)) as client:
        yield client


@pytest.fixture
def other(pds_server: PdsServer) -> Iterator[AtmosphereClient]:
    """Give another client that is not logged in."""
    with closing(_client(pds_server)) as client:
        yield client


def _client(server: PdsServer) -> AtmosphereClient:
    return AtmosphereClient(server.url, plc_url=server.plc_url, allow_private=True)


def _at_proxy(session: str, server: PdsServer, proxy: FaultProxy) -> str:
    return session.replace(server.url, proxy.url)


def _with_expiry(session: str, server: PdsServer, seconds: float) -> str:
    """Return a session whose access token is the server's own, but for when it expires."""
    decoded = Session.decode(session)
    head, body, _ = decoded.access_jwt.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["exp"] = int(time.time() + seconds)
    signed = f"{head}.{_base64(json.dumps(claims).encode())}"
    signature = hmac.digest(server.jwt_secret.encode(), signed.encode(), hashlib.sha256)
    decoded.access_jwt = f"{signed}.{_base64(signature)}"
    return str(decoded.encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _needs_own_server(server: PdsServer) -> None:
    if not server.jwt_secret:
        pytest.skip("tokens are made with the secret of a server that the tests started")


def _write(client: AtmosphereClient, n: int = 0) -> None:
    client.put_record(THING, f"k{n}", {"$type": THING, "n": n})


def test_a_login_tells_who_one_is(client: AtmosphereClient, own: Account) -> None:
    client.login(own.handle, own.password)
    assert client.is_authenticated
    assert (client.did, client.handle) == (own.did, own.handle)


@pytest.mark.parametrize("name", ["@{0.handle}", "{0.did}"])
def test_a_login_is_with_a_handle_or_a_did(
    client: AtmosphereClient, own: Account, name: str
) -> None:
    client.login(name.format(own), own.password)
    assert client.handle == own.handle


def test_a_wrong_password_is_an_error_that_says_so(client: AtmosphereClient, own: Account) -> None:
    with pytest.raises(AuthenticationError, match="app password") as caught:
        client.login(own.handle, "canary-password")
    assert "canary-password" not in _everything(caught.value)
    assert not client.is_authenticated


def test_an_empty_password_is_not_sent(client: AtmosphereClient) -> None:
    with pytest.raises(AuthenticationError, match="needed"):
        client.login("alice.test", "")


def test_a_second_factor_is_answered_with_the_way_out(
    pds_server: PdsServer, proxy: FaultProxy, own: Account
) -> None:
    proxy.commit("createSession", status(401, "AuthFactorTokenRequired", "A code was sent"))
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    with closing(client), pytest.raises(AuthenticationError, match="make an app password"):
        client.login(own.handle, own.password)


def test_a_server_out_of_reach_is_an_error_that_says_so() -> None:
    client = AtmosphereClient("http://127.0.0.1:9", allow_private=True)
    with closing(client), pytest.raises(StorageError, match="out of reach"):
        client.login("alice.test", "canary-password")


def test_an_answer_that_is_no_session_is_corrupt(proxy: FaultProxy, own: Account) -> None:
    proxy.commit("createSession", change(lambda answer: {"did": answer["did"]}))
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    with closing(client), pytest.raises(CorruptDataError, match="no session"):
        client.login(own.handle, own.password)


def test_an_exported_session_is_restored(
    client: AtmosphereClient, other: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    other.login_with_session(client.export_session())
    assert (other.did, other.handle) == (own.did, own.handle)
    _write(other)


@pytest.mark.parametrize(
    "text", ["", "nonsense", ":::".join("abcd") + ":::file:///etc", "a:::" * 9]
)
def test_what_is_no_session_is_not_restored(client: AtmosphereClient, text: str) -> None:
    with pytest.raises(InvalidNameError, match="no exported session"):
        client.login_with_session(text)
    assert not client.is_authenticated


def test_a_session_at_a_private_server_is_refused_unless_allowed(session_text: str) -> None:
    with closing(AtmosphereClient()) as client, pytest.raises(UntrustedInputError, match="https"):
        client.login_with_session(session_text)


def test_a_revoked_session_is_refused_when_it_is_restored(
    pds_server: PdsServer, client: AtmosphereClient, other: AtmosphereClient, own: Account
) -> None:
    _needs_own_server(pds_server)
    client.login(own.handle, own.password)
    text = client.export_session()
    refresh = Session.decode(text).refresh_jwt
    revoke = f"{pds_server.url}/xrpc/com.atproto.server.deleteSession"
    httpx.post(revoke, headers={"Authorization": f"Bearer {refresh}"}).raise_for_status()
    with pytest.raises(AuthenticationError, match="log in again") as caught:
        other.login_with_session(_with_expiry(text, pds_server, -1))
    assert not other.is_authenticated
    assert refresh not in _everything(caught.value)


def test_a4_a_token_about_to_expire_is_renewed_before_it_is_used(
    pds_server: PdsServer, client: AtmosphereClient, other: AtmosphereClient, own: Account
) -> None:
    _needs_own_server(pds_server)
    client.login(own.handle, own.password)
    text = client.export_session()
    other.login_with_session(_with_expiry(text, pds_server, 30))
    assert Session.decode(other.export_session()).refresh_jwt != Session.decode(text).refresh_jwt


def test_a4_a_token_that_expires_during_an_upload_is_renewed_and_the_upload_repeated(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    text = _at_proxy(client.export_session(), pds_server, proxy)
    uploader = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    with closing(uploader):
        uploader.login_with_session(text)
        proxy.commit("uploadBlob", status(400, "ExpiredToken", "Token has expired"))
        data = os.urandom(3_000_000)
        ref = uploader.upload_blob(data)
        uploader.create_record(THING, {"$type": THING, "blob": ref})
        assert uploader.get_blob(own.did, ref["ref"]["$link"]) == data
    uploads = [asked for asked in proxy.asked if "uploadBlob" in asked.path]
    assert [asked.size for asked in uploads] == [len(data), len(data)]
    assert proxy.count(REFRESH) == 1


def test_a4_threads_that_find_a_token_expired_renew_it_once(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    text = _at_proxy(client.export_session(), pds_server, proxy)
    shared = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)
    everybody = threading.Barrier(6)

    def expired(exchange: Exchange) -> None:
        everybody.wait(60)
        status(400, "ExpiredToken")(exchange)

    with closing(shared), ThreadPoolExecutor(6) as threads:
        shared.login_with_session(text)
        proxy.commit("putRecord", expired, times=6)
        list(threads.map(partial(_write, shared), range(6)))
    assert proxy.count(REFRESH) == 1


def test_a4_a_refresh_whose_reply_is_no_session_leaves_the_old_one(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    text = _at_proxy(client.export_session(), pds_server, proxy)
    with closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as shared:
        shared.login_with_session(text)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        proxy.commit(REFRESH, change(lambda answer: {**answer, "did": "did:plc:" + "a" * 24}))
        with pytest.raises(UntrustedInputError, match="another account"):
            _write(shared)
        assert shared.export_session() == text
        _write(shared)


def test_a4_a_refresh_whose_reply_is_lost_is_asked_for_again(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    text = _at_proxy(client.export_session(), pds_server, proxy)
    with closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as shared:
        shared.login_with_session(text)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        proxy.commit(REFRESH, lost_reply)
        proxy.commit(REFRESH, status(502))
        _write(shared)
        assert shared.did == own.did
    assert proxy.count(REFRESH) == 3


def test_a4_a_refused_refresh_says_to_log_in_again(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account
) -> None:
    client.login(own.handle, own.password)
    text = _at_proxy(client.export_session(), pds_server, proxy)
    with closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as shared:
        shared.login_with_session(text)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        proxy.commit(REFRESH, status(400, "ExpiredToken", "Token has been revoked"))
        with pytest.raises(AuthenticationError, match="log in again"):
            _write(shared)


def test_c7_only_the_accounts_own_server_sees_a_token(
    pds_server: PdsServer, proxy: FaultProxy, session_text: str, account: Account
) -> None:
    # The directory is the proxy, and says that repositories are there; the session is elsewhere.
    client = AtmosphereClient(pds_server.url, plc_url=proxy.url, allow_private=True)
    with closing(client):
        client.login_with_session(session_text)
        stranger = pds_server.new_account()
        client.list_records(THING, repo=stranger.did)
        client.query("com.atproto.server.describeServer", server=proxy.url)
    assert proxy.count("listRecords") == 1
    assert not any("authorization" in asked.headers for asked in proxy.asked)


def test_c4_a_saved_session_is_its_owners_alone(
    client: AtmosphereClient, other: AtmosphereClient, own: Account, tmp_path: Path
) -> None:
    client.login(own.handle, own.password)
    before = os.umask(0)
    try:
        path = client.save_session()
    finally:
        os.umask(before)
    assert path == tmp_path / "atdata-home" / "session"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert other.load_session()
    assert other.did == own.did


def test_nothing_is_restored_where_nothing_was_saved(client: AtmosphereClient) -> None:
    assert not client.load_session()
    assert not client.is_authenticated


def test_nobody_saves_a_session_without_a_login(client: AtmosphereClient, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError):
        client.save_session(tmp_path / "session")
    assert list(tmp_path.iterdir()) == []


def test_c4_a_session_file_that_others_can_read_is_made_private(
    client: AtmosphereClient, session_text: str, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    path.write_text(session_text)
    path.chmod(0o644)
    assert client.load_session(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_c4_a_session_file_that_is_a_link_is_refused(
    client: AtmosphereClient, session_text: str, tmp_path: Path
) -> None:
    (tmp_path / "real").write_text(session_text)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StorageError, match="cannot be used"):
        client.load_session(tmp_path / "link")


def test_a_file_that_holds_no_session_is_never_written(
    client: AtmosphereClient, own: Account, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.write_text("not a session\n")
    with pytest.raises(InvalidNameError, match="no exported session"):
        client.load_session(notes)
    client.login(own.handle, own.password)
    assert notes.read_text() == "not a session\n"


def test_a_folder_is_no_session_file(client: AtmosphereClient, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="session file"):
        client.load_session(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_c4_a_session_file_of_somebody_else_is_refused(
    client: AtmosphereClient, session_text: str, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    path.write_text(session_text)
    os.chown(path, 65534, 65534)
    with pytest.raises(StorageError, match="somebody else"):
        client.load_session(path)


def test_a4_a_renewed_session_is_saved_again(
    pds_server: PdsServer, client: AtmosphereClient, own: Account, tmp_path: Path
) -> None:
    _needs_own_server(pds_server)
    client.login(own.handle, own.password)
    path = tmp_path / "session"
    path.write_text(_with_expiry(client.export_session(), pds_server, 30))
    with closing(_client(pds_server)) as restored:
        restored.load_session(path)
        assert path.read_text().strip() == restored.export_session()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a4_a_session_that_another_process_renewed_is_taken_from_its_file(
    pds_server: PdsServer, proxy: FaultProxy, client: AtmosphereClient, own: Account, tmp_path: Path
) -> None:
    client.login(own.handle, own.password)
    path = tmp_path / "session"
    path.write_text(_at_proxy(client.export_session(), pds_server, proxy))
    with (
        closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as one,
        closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as two,
    ):
        one.load_session(path)
        two.load_session(path)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        _write(one)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        _write(two)
        assert two.export_session() == one.export_session() == path.read_text().strip()
    assert proxy.count(REFRESH) == 1


def test_a4_a_file_that_somebody_else_logged_in_to_is_left_alone(
    pds_server: PdsServer, proxy: FaultProxy, own: Account, session_text: str, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    with (
        closing(_client(pds_server)) as one,
        closing(AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True)) as two,
    ):
        one.login(own.handle, own.password)
        two.login_with_session(_at_proxy(one.export_session(), pds_server, proxy))
        two.save_session(path)
        path.write_text(session_text)
        proxy.commit("putRecord", status(400, "ExpiredToken"))
        _write(two)
        assert two.did == own.did
    assert path.read_text() == session_text
    assert proxy.count(REFRESH) == 1


@pytest.fixture
def environment(pds_server: PdsServer, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Name the test's servers in the environment."""
    monkeypatch.setenv("ATPROTO_BASE_URL", pds_server.url)
    monkeypatch.setenv("ATPROTO_PLC_URL", pds_server.plc_url)
    monkeypatch.setenv("ATDATA_ALLOW_PRIVATE", "1")
    return monkeypatch


def test_the_environment_logs_in_once_and_then_restores(
    environment: pytest.MonkeyPatch, own: Account
) -> None:
    environment.setenv("ATPROTO_HANDLE", own.handle)
    environment.setenv("ATPROTO_APP_PASSWORD", own.password)
    with closing(AtmosphereClient.from_env()) as first:
        assert first.did == own.did
    environment.setenv("ATPROTO_APP_PASSWORD", "not needed")
    with closing(AtmosphereClient.from_env()) as second:
        assert second.did == own.did
    environment.delenv("ATPROTO_HANDLE")
    with closing(AtmosphereClient.from_env()) as third:
        assert third.did == own.did


def test_the_environment_may_name_another_account_than_the_saved_one(
    environment: pytest.MonkeyPatch, own: Account, client: AtmosphereClient, session_text: str
) -> None:
    client.login_with_session(session_text)
    saved = client.save_session()
    environment.setenv("ATPROTO_HANDLE", own.handle)
    environment.setenv("ATPROTO_APP_PASSWORD", own.password)
    with closing(AtmosphereClient.from_env()) as named:
        assert named.did == own.did
        assert saved.read_text().strip() == named.export_session()


def test_a_saved_session_that_is_nonsense_is_replaced_by_a_login(
    environment: pytest.MonkeyPatch, own: Account, tmp_path: Path
) -> None:
    (tmp_path / "atdata-home").mkdir()
    (tmp_path / "atdata-home" / "session").write_text("nonsense")
    environment.setenv("ATPROTO_HANDLE", own.handle)
    environment.setenv("ATPROTO_APP_PASSWORD", own.password)
    with closing(AtmosphereClient.from_env()) as client:
        assert client.did == own.did


def test_an_empty_environment_logs_nobody_in(environment: pytest.MonkeyPatch) -> None:
    with closing(AtmosphereClient.from_env()) as client:
        assert not client.is_authenticated


def test_logging_out_forgets_the_session(client: AtmosphereClient, session_text: str) -> None:
    client.login_with_session(session_text)
    client.logout()
    assert not client.is_authenticated
    with pytest.raises(AuthenticationError):
        client.export_session()


def test_c1_no_secret_shows_in_what_is_printed_or_logged(
    pds_server: PdsServer,
    proxy: FaultProxy,
    own: Account,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    client = AtmosphereClient(proxy.url, plc_url=proxy.url, allow_private=True, max_wait=0)
    with closing(client):
        client.login(own.handle, own.password)
        secrets = [own.password, *_tokens(client)]
        for fault in (status(500), status(403, "Forbidden"), status(400, "ExpiredToken")):
            proxy.commit("putRecord", fault)
            proxy.commit(REFRESH, status(500), times=3)
            with pytest.raises(StorageError) as caught:
                _write(client)
            shown.append(_everything(caught.value))
            proxy.heal()
        shown += [repr(client), str(client.network)]
    shown.append(caplog.text)
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []


def _tokens(client: AtmosphereClient) -> list[str]:
    session = Session.decode(client.export_session())
    return [session.access_jwt, session.refresh_jwt, client.export_session()]


def _everything(error: BaseException | None) -> str:
    """Return all that an error and those behind it would tell a logger that prints attributes."""
    texts: list[str] = []
    while error is not None:
        texts += [str(error), repr(error), str(error.args), str(vars(error))]
        request: Any = vars(error).get("_request")
        texts.append(str(request and (request.headers.multi_items(), request.content)))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)
