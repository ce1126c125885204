"""Reading a URL from start to end, going on where a connection broke."""

from __future__ import annotations

import io
import time
from typing import Any

from atdata.dataset.web.address import Address
from atdata.dataset.web.answers import Answer, open_answer
from atdata.dataset.web.asking import Wanted
from atdata.dataset.web.connections import PROGRESS
from atdata.dataset.web.failures import PassingError, changed, too_busy
from atdata.dataset.web.versions import Version
from atdata.errors import StorageError
from atdata.retries import ATTEMPTS, jittered, own_wait

# What a server may ask to wait, in seconds; beyond it is for the caller to decide.
LONGEST_WAIT = 120.0
# What is taken from the system at once.
_PIECE = 256 << 10
_CHUNK = 4 << 20


class WebStream(io.RawIOBase):
    """The bytes at a web URL from an offset on; they exist once this is made.

    What a broken connection left unread is asked for again, of the same version only. Errors call
    the URL ``shown``, and hold nothing else of it. With ``public_only`` only servers at public
    addresses are asked, over https, also where they redirect to; this is for URLs that came from
    others. Not for several threads at once, nor for both sides of a fork.

    Raises:
        ShardNotFoundError: there is nothing there.
        AuthenticationError: the server wants to know who asks.
        UntrustedInputError: a server may not be asked, or leads from https to http.
        CorruptDataError: what comes is encoded in a way that was not asked for.
        StorageError: it cannot be read, also after retries, or it changed while it was read.
        InvalidNameError: that is not a valid web URL.
    """

    # What is closed when it could not be opened.
    _answer: Answer | None = None

    def __init__(self, url: str, shown: str, *, offset: int = 0, public_only: bool = False) -> None:
        self._wanted = Wanted(Address.from_url(url, shown), shown, public_only)
        self._start = self._at = self._failed_at = offset
        self._failures = 0
        self._version: Version | None = None
        self._ready()

    def readable(self) -> bool:
        """Return True, as streams do."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most so many bytes, none at the end; without a size all that are left."""
        if self.closed:
            raise ValueError("the stream is closed")
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        while size:
            try:
                data = self._ready().read(min(size, _PIECE))
            except PassingError as error:
                self._pause(error)
                continue
            self._at += len(data)
            if data or self._is_through():
                return data
            # A server may send less than all that was asked for.
            self._drop()
        return b""

    def readinto(self, buffer: Any, /) -> int:
        """Fill a part of a buffer and return how long it is."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give up what has not been read."""
        self._drop()
        super().close()

    def _ready(self) -> Answer:
        """Return the answer that is read from, asking for what is left if there is none."""
        while self._answer is None:
            known = self._version if self._at > self._start else None
            try:
                self._answer, version = open_answer(self._wanted, self._at, known)
            except PassingError as error:
                self._pause(error)
            else:
                self._version = known.joined(version) if known else version
        return self._answer

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _is_through(self) -> bool:
        size = self._version.size if self._version else None
        if size is not None and self._at > max(size, self._start):
            raise changed(self._wanted.shown)
        return size is None or self._at >= size

    def _pause(self, failed: PassingError) -> None:
        """Wait before the next attempt, or raise if there is to be none."""
        self._drop()
        self._failures = self._failures + 1 if self._at - self._failed_at < PROGRESS else 1
        self._failed_at = self._at
        self._check_resumable()
        if self._failures >= ATTEMPTS:
            raise failed.error from None
        if failed.wait is not None and failed.wait > LONGEST_WAIT:
            raise too_busy(self._wanted.shown, failed.wait) from None
        time.sleep(own_wait(self._failures - 1) if failed.wait is None else jittered(failed.wait))

    def _check_resumable(self) -> None:
        if self._at > self._start and self._version is not None and self._version.proof is None:
            shown = self._wanted.shown
            raise StorageError(
                f"{shown} breaks off at byte {self._at:,}, and its server names no version to go "
                "on with; read it again from its start, or download it",
                url=shown,
                offset=self._at,
            ) from None
