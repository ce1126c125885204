"""Which version of a file a server sends, so that no two are ever joined into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Self

# A date names one version only once it has passed: a file may change twice in a second.
_SETTLED_SECONDS = 2


@dataclass(frozen=True)
class Version:
    """What a server says of the version of a file; ``size`` in bytes."""

    etag: str | None
    modified: str | None
    size: int | None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], size: int | None) -> Self:
        """Take what an answer says; ``size`` is that of the whole file, None if unknown."""
        return cls(headers.get("etag"), _settled(headers), size)

    @property
    def proof(self) -> str | None:
        """What ``If-Range`` may say, None where nothing tells two versions apart byte for byte."""
        return self._strong or (self.modified if self.size is not None else None)

    def is_same(self, other: Version, *, whole: bool) -> bool:
        """Tell whether another answer is surely of this version.

        One that is not ``whole`` need not repeat the date that it was asked for by.
        """
        if self._strong:
            return self.etag == other.etag and (
                self.size is None or other.size in (self.size, None)
            )
        if self.modified is None or self.size is None:
            return False
        dates = {other.modified} if whole else {other.modified} - {None}
        is_tagged = other.etag in ((self.etag,) if whole else (self.etag, None))
        return dates <= {self.modified} and is_tagged and other.size == self.size

    def joined(self, other: Version) -> Self:
        """Return what is known after another answer of this version."""
        return self if self.size is not None else replace(self, size=other.size)

    @property
    def _strong(self) -> str | None:
        return self.etag if self.etag and self.etag.startswith('"') else None


def _settled(headers: Mapping[str, str]) -> str | None:
    """Return the date of the last change if it is old enough to mean one version."""
    modified = headers.get("last-modified")
    try:
        age = parsedate_to_datetime(headers["date"]) - parsedate_to_datetime(modified or "")
    except (KeyError, ValueError, TypeError):
        return None
    return modified if age.total_seconds() >= _SETTLED_SECONDS else None
