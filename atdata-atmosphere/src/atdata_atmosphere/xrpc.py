"""Calls of the protocol's methods, without a login or as the account that is logged in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atdata.errors import AuthenticationError
from atdata_atmosphere.sessions import Sessions
from atdata_atmosphere.syntax import checked_nsid
from atdata_atmosphere.web import Ask, Web

if TYPE_CHECKING:
    from atproto import Session

_STALE = frozenset({"ExpiredToken", "InvalidToken"})


class Xrpc:
    """Queries of any server, and procedures of the account's own, renewing its session."""

    def __init__(self, web: Web, sessions: Sessions) -> None:
        self.web = web
        self.sessions = sessions

    def query(self, server: str, nsid: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a server's answer to a query; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self.web.json(Ask(_url(server, nsid), params=given))

    def query_own(self, nsid: str) -> dict[str, Any]:
        """Return the answer of the account's own server to a query about the account."""
        return self._authorised(Ask(_url(self.sessions.origin, nsid)))

    def procedure(self, nsid: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have the account's own server do something that may as well be done twice."""
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return self.send(nsid, lambda: data, "application/json", len(data))

    def send(
        self, nsid: str, body: Callable[[], bytes | Iterable[bytes]], mime_type: str, size: int
    ) -> dict[str, Any]:
        """Send bytes to the account's own server; each attempt asks ``body`` for them anew."""
        headers = {"content-type": mime_type, "content-length": str(size)}
        url = _url(self.sessions.origin, nsid)
        return self._authorised(Ask(url, method="POST", headers=headers, body=body))

    def _authorised(self, ask: Ask) -> dict[str, Any]:
        session = self.sessions.usable()
        try:
            return self.web.json(_as(session, ask))
        except AuthenticationError as error:
            if error.details.get("error") not in _STALE:
                raise
        return self.web.json(_as(self.sessions.renew(session), ask))


def _as(session: Session, ask: Ask) -> Ask:
    token = f"Bearer {session.access_jwt}"
    return replace(ask, headers={**ask.headers, "authorization": token})


def _url(server: str, nsid: str) -> str:
    return f"{server}/xrpc/{checked_nsid(nsid)}"
