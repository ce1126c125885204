"""What the head of an answer says of the body: which bytes of which version it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from atdata.dataset.web.failures import refuse
from atdata.dataset.web.versions import Version
from atdata.errors import CorruptDataError, StorageError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_SPAN = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_NO_SPAN = re.compile(r"bytes \*/([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Claim:
    """An answer holds the bytes from ``start`` to ``stop``, or to its own end if that is None."""

    status: int
    start: int
    stop: int | None
    version: Version

    @classmethod
    def from_response(cls, response: BaseHTTPResponse, shown: str, offset: int) -> Self:
        """Read what an answer to a request for all from an offset on says.

        Raises:
            PassingError: the server is busy or fails.
            ShardNotFoundError: there is nothing there.
            AuthenticationError: the server wants to know who asks.
            CorruptDataError: the body is encoded.
            StorageError: it refuses for another reason, or contradicts itself.
        """
        if response.status == 416 and offset:
            size = _size_before(response, shown, offset)
            return cls(416, offset, offset, Version(None, None, size))
        if response.status not in {200, 206}:
            refuse(response, shown)
        _check_coding(response, shown)
        length = _length(response)
        if response.status == 200:
            return cls(200, 0, length, Version.from_headers(response.headers, length))
        stop, whole = _span(response, shown, offset)
        if length not in (None, stop - offset):
            raise _contradiction(shown, f"{length} bytes are sent as {stop - offset}")
        return cls(206, offset, stop, Version.from_headers(response.headers, whole))

    def goes_on(self, known: Version) -> bool:
        """Tell whether this surely is more of a version of which all before it is known."""
        if self.status == 416:
            return self.version.size == self.start and known.size in (None, self.start)
        return known.is_same(self.version, whole=self.status == 200)


def _span(response: BaseHTTPResponse, shown: str, offset: int) -> tuple[int, int | None]:
    """Return where a part that begins at an offset stops, and the size of the whole."""
    span = response.headers.get("content-range", "")
    match = _SPAN.fullmatch(span)
    if match is None or not offset or int(match[1]) != offset:
        raise _contradiction(shown, f"byte {offset} is asked for, {span[:60]!r} is sent")
    stop, size = int(match[2]) + 1, None if match[3] == "*" else int(match[3])
    if stop <= offset or (size is not None and size < stop):
        raise _contradiction(shown, f"{span[:60]!r} is sent")
    return stop, size


def _size_before(response: BaseHTTPResponse, shown: str, offset: int) -> int:
    """Return the size of what has no byte at an offset."""
    span = response.headers.get("content-range", "")
    match = _NO_SPAN.fullmatch(span)
    if match is None or int(match[1]) > offset:
        raise _contradiction(shown, f"byte {offset} is asked for, none of {span[:60]!r} is sent")
    return int(match[1])


def _length(response: BaseHTTPResponse) -> int | None:
    text = response.headers.get("content-length", "")
    is_chunked = "transfer-encoding" in response.headers
    return int(text) if _NUMBER.fullmatch(text) and not is_chunked else None


def _check_coding(response: BaseHTTPResponse, shown: str) -> None:
    coding = response.headers.get("content-encoding", "identity")
    transfer = response.headers.get("transfer-encoding", "chunked")
    if transfer.lower() not in {"chunked", "identity"}:
        coding = transfer
    if coding.lower() != "identity":
        raise CorruptDataError(
            f"{shown} is sent encoded as {coding[:40]!r}, which was not asked for and would be "
            "other bytes than the shard's; switch that off where it is served, or download it",
            url=shown,
            coding=coding,
        )


def _contradiction(shown: str, what: str) -> StorageError:
    return StorageError(
        f"{shown} cannot be read: its server contradicts itself ({what}); ask who keeps it",
        url=shown,
    )
