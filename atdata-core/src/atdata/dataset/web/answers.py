"""The body of an answer, from where it is wanted to where it should end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from atdata.dataset.web.asking import Wanted, ask, give_back
from atdata.dataset.web.claims import Claim
from atdata.dataset.web.failures import WEB_ERRORS, changed, cut
from atdata.dataset.web.versions import Version

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse


class Answer:
    """The bytes that a server sends, from an offset on."""

    def __init__(self, response: BaseHTTPResponse, shown: str, claim: Claim, offset: int) -> None:
        self._response = response
        self._shown = shown
        self._at, self._stop = claim.start, claim.stop
        self._offset = offset

    def read(self, size: int) -> bytes:
        """Return some of the next bytes, at most ``size``; none at the end of what is sent.

        Raises ``PassingError`` if it ends too early.
        """
        while self._at < self._offset:
            skipped = self._receive(min(size, self._offset - self._at))
            if not skipped and self._stop is None:
                raise cut(self._shown, self._at)
            if not skipped:
                return b""
        return self._receive(size)

    def close(self) -> None:
        """Give up what has not been read."""
        give_back(self._response)

    def _receive(self, size: int) -> bytes:
        if self._stop is not None:
            size = min(size, self._stop - self._at)
        if not size:
            return b""
        failed: Exception | None = None
        try:
            data = self._response.read1(size)
        except WEB_ERRORS as error:
            failed, data = error, b""
        self._at += len(data)
        if failed is not None or (not data and self._stop is not None):
            raise cut(self._shown, self._at, failed)
        return data


def open_answer(wanted: Wanted, offset: int, known: Version | None) -> tuple[Answer, Version]:
    """Ask for what is at a URL from an offset on; it must be of the version that is known, if any.

    A server that does not know ranges sends all of it, and the start is dropped as it comes.

    Raises:
        PassingError: this may go well the next time.
        AtdataError: it will not.
    """
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    if offset and known is not None and known.proof is not None:
        headers["If-Range"] = known.proof
    response = ask(wanted, headers)
    with ExitStack() as undo:
        undo.callback(give_back, response)
        claim = Claim.from_response(response, wanted.shown, offset)
        if known is not None and not claim.goes_on(known):
            raise changed(wanted.shown)
        undo.pop_all()
        return Answer(response, wanted.shown, claim, offset), claim.version
