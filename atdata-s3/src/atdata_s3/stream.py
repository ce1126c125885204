"""Reading an object from start to end, going on where a connection broke."""

from __future__ import annotations

import io
import random
import time
from typing import Any

from botocore.exceptions import (
    HTTPClientError,
    IncompleteReadError,
)
from urllib3.exceptions import HTTPError

from atdata.errors import ConflictError, StorageError
from atdata_s3.failures import ask_for
from atdata_s3.names import S3Object

# How often a connection may break before so much has come.
ATTEMPTS = 5
PROGRESS = 1 << 20
_CHUNK = 4 << 20
_BREAKS = (HTTPClientError, IncompleteReadError, HTTPError)


class ObjectStream(io.RawIOBase):
    """The bytes of an object from an offset on; it exists once this is made.

    What a broken connection left unread is asked for again, of the same version of the object
    only. Not for several threads at once, nor for both sides of a fork.
    """

    def __init__(self, client: Any, target: S3Object, offset: int = 0) -> None:
        self._client = client
        self._target = target
        self._at = self._broke_at = offset
        self._breaks = 0
        self._version: str | None = None
        self._body: Any = None
        self._end = offset
        self._open()

    def readable(self) -> bool:
        """Return True, as streams do."""
        return True

    def tell(self) -> int:
        """Return the offset in the object of the next byte."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most so many bytes, none at the end; without a size all that are left."""
        if self.closed:
            raise ValueError("the stream is closed")
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        while size and self._at < self._end:
            try:
                data: bytes = self._body.read(min(size, self._end - self._at))
            except _BREAKS:
                data = b""
            self._at += len(data)
            if data:
                return data
            self._resume()
        return b""

    def readinto(self, buffer: Any, /) -> int:
        """Fill a part of a buffer and return how long it is."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give up what has not been read."""
        if self._body is not None:
            self._body.close()
        super().close()

    def _resume(self) -> None:
        self._body.close()
        self._breaks = self._breaks + 1 if self._at - self._broke_at < PROGRESS else 1
        self._broke_at = self._at
        # Without a version, what comes next could be another's.
        if self._breaks > ATTEMPTS or self._version is None:
            url, at = self._target.url, self._at
            message = f"{url} breaks off at byte {at} and cannot be resumed; try later"
            raise StorageError(message, url=url, offset=at)
        time.sleep(random.random() * 0.05 * 2**self._breaks)
        self._open()

    def _open(self) -> None:
        wanted = {"Range": f"bytes={self._at}-"} if self._at else {}
        if self._version is not None:
            wanted["IfMatch"] = self._version
        url = self._target.url
        try:
            wanted |= self._target.arguments
            answer = ask_for("ContentLength", url, self._client.get_object, **wanted)
        except ConflictError:
            raise StorageError(
                f"{url} was replaced while it was read; read it anew", url=url
            ) from None
        except StorageError as error:
            if error.details["code"] != "InvalidRange" or self._body is not None:
                raise
            # The object is no longer than the offset.
            return
        self._body = answer["Body"]
        self._check_range(answer)
        self._version = answer.get("ETag")
        self._end = self._at + answer["ContentLength"]

    def _check_range(self, answer: Any) -> None:
        """Make sure that what comes is what comes next."""
        span = answer.get("ContentRange", "")
        if self._at and not span.startswith(f"bytes {self._at}-"):
            self._body.close()
            raise StorageError(
                f"{self._target.url} cannot be read from byte {self._at}: the server sends "
                f"{span or 'all of it'}",
                url=self._target.url,
            )
