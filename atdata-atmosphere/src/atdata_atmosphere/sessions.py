"""Being logged in: sessions begun, restored, renewed once however many threads ask, and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atdata.errors import AuthenticationError, InvalidNameError, StorageError, UntrustedInputError
from atdata.retries import own_wait
from atdata.trust import checked_origin
from atdata_atmosphere.processes import PerProcess
from atdata_atmosphere.reach import Reach
from atdata_atmosphere.sdk_errors import translated
from atdata_atmosphere.session_file import locked, read_session, write_session
from atdata_atmosphere.transport import CheckedTransport

if TYPE_CHECKING:
    from atproto import Client, Session, SessionEvent

# A token is renewed this long before it expires, so that it outlives the request it is sent with.
EARLY_SECONDS = 120.0
MAX_ANSWER = 1024 * 1024
REFRESHES = 3
REFRESH = "com.atproto.server.refreshSession"


class Sessions:
    """The session of one account, which the SDK begins and describes; threads share it.

    It holds no password. ``path``, once set, is the file that every renewed session is saved to.
    """

    def __init__(
        self, base_url: str, reach: Reach, *, timeout: float, sdk: Client | None = None
    ) -> None:
        self._base_url = base_url
        self._reach = reach
        self._timeout = timeout
        self._given = sdk
        self._current = None if sdk is None else _session_of(sdk)
        if sdk is not None:
            sdk.on_session_change(self._note)
        self._lock = PerProcess(threading.Lock)
        self.path: Path | None = None

    @property
    def current(self) -> Session | None:
        """The session, whose repr shows no token."""
        return self._current

    @property
    def origin(self) -> str:
        """The server of the account's repository, or where one would log in."""
        if self._current is None or not self._current.pds_endpoint:
            return self._base_url
        endpoint = self._current.pds_endpoint.removesuffix("/xrpc")
        return self._reach.origin(endpoint)

    def begin(self, handle: str, password: str) -> None:
        """Log in with an app password."""
        if not handle or not password:
            raise AuthenticationError("a handle and an app password are needed to log in")
        failure = f"{handle} cannot log in at {self._base_url}"
        with self._sdk() as sdk, translated(self._base_url, failure):
            sdk.login(handle.removeprefix("@"), password, fetch_bsky_profile=False)
            self._current = _session_of(sdk)
        self._save()

    def restore(self, text: str) -> None:
        """Take over a session that was exported."""
        session = _decoded(text)
        if session is None:
            # The text is a secret, so the error does not show it.
            raise InvalidNameError("that is no exported session; log in again")
        self._take(session)

    def export(self) -> str:
        """Return the session as text, which is as secret as a password."""
        return str(self.required().encode())

    def save_to(self, path: Path) -> None:
        """Save the session to a file, now and whenever it is renewed."""
        self.required()
        self.path = path
        self._save()

    def forget(self) -> None:
        """Be logged in no longer; files and exported sessions stay as they are."""
        self._current = None
        self.path = None

    def required(self) -> Session:
        """Return the session, or raise `AuthenticationError` where nobody is logged in."""
        if self._current is None:
            message = "nobody is logged in; call login(handle, app_password) first"
            raise AuthenticationError(message)
        return self._current

    def usable(self) -> Session:
        """Return the session, renewed if its access token is about to expire."""
        session = self.required()
        expires = _expiry(session)
        if expires is not None and expires - time.time() < EARLY_SECONDS:
            return self.renew(session)
        return session

    def renew(self, stale: Session) -> Session:
        """Return another session than the stale one; one thread fetches it for all."""
        with self._lock.get():
            # Not by token: two that are made within a second are the same.
            if self.required() is stale:
                self._renew_alone(stale)
            return self.required()

    def _renew_alone(self, stale: Session) -> None:
        if self.path is None:
            self._refresh()
            return
        # Another process may have used up the refresh token, and saved what it got for it.
        with locked(self.path):
            saved = _decoded(read_session(self.path) or "")
            if saved is not None and saved.did != stale.did:
                # Somebody else has logged in there since.
                self.path = None
            elif saved is not None and saved.refresh_jwt != stale.refresh_jwt:
                self._take(saved)
                return
            self._refresh()

    def _refresh(self) -> None:
        from atproto import Session

        session = self.required()
        answer = self._next_tokens(session)
        if answer.did != session.did:
            message = f"{self.origin} answers with the session of another account, {answer.did}"
            raise UntrustedInputError(message, did=answer.did)
        tokens = answer.access_jwt, answer.refresh_jwt
        self._take(Session(answer.handle, answer.did, *tokens, session.pds_endpoint))
        self._save()

    def _next_tokens(self, session: Session) -> Any:
        # Who asks again soon, because the reply was lost, gets the same tokens.
        for attempt in range(REFRESHES):
            try:
                return self._ask_for_tokens(session)
            except StorageError as error:
                if attempt == REFRESHES - 1 or error.details.get("status", 500) < 500:
                    raise
            time.sleep(own_wait(attempt))
        raise AssertionError

    def _ask_for_tokens(self, session: Session) -> Any:
        from atproto import models

        failure = f"the session of {session.handle} cannot be renewed"
        with self._sdk() as sdk, translated(self.origin, failure):
            answer = sdk.request.post(
                f"{self.origin}/xrpc/{REFRESH}",
                headers={"Authorization": f"Bearer {session.refresh_jwt}"},
            )
            return models.ComAtprotoServerRefreshSession.Response.model_validate(answer.content)

    def _take(self, session: Session) -> None:
        self._current = session
        if self._given is not None:
            self._given.login(session_string=session.encode(), fetch_bsky_profile=False)

    def _save(self) -> None:
        if self.path is not None:
            write_session(self.path, self.export())

    @contextmanager
    def _sdk(self) -> Iterator[Client]:
        """Give the SDK's client that the user gave, or one that lasts for the block."""
        if self._given is not None:
            yield self._given
            return
        # 0.7 s, and reading needs none.
        from atproto import Client, Request

        transport = CheckedTransport(self._reach, seconds=self._timeout, max_bytes=MAX_ANSWER)
        with closing(Request(transport=transport, timeout=self._timeout)) as request:
            yield Client(self._base_url, request)

    def _note(self, _: SessionEvent, session: Session) -> None:
        self._current = session


def _decoded(text: str) -> Session | None:
    from atproto import Session

    try:
        session = Session.decode(text.strip())
        checked_origin((session.pds_endpoint or "").removesuffix("/xrpc"), allow_private=True)
    except ValueError:
        return None
    return session


def _session_of(sdk: Client) -> Session | None:
    from atproto import Session
    from atproto.exceptions import LoginRequiredError

    try:
        return Session.decode(sdk.export_session_string())
    except LoginRequiredError:
        return None


def _expiry(session: Session) -> float | None:
    """Return when the access token expires, or None if it does not say."""
    from atproto.exceptions import TokenDecodeError

    try:
        expires = session.access_jwt_payload.exp
    except (TokenDecodeError, ValueError):
        return None
    return float(expires) if expires is not None else None
