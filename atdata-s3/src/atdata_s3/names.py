"""The names of objects: buckets, keys, and the URLs made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from atdata.dataset.url import redacted
from atdata.errors import InvalidNameError

_URL = re.compile(r"s3://([^/]+)/(.+)", re.IGNORECASE | re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_KEY = 1024


@dataclass(frozen=True)
class S3Object:
    """A key in a bucket; its URL holds both as they are, without escapes."""

    bucket: str
    key: str

    def __post_init__(self) -> None:
        check_bucket(self.bucket)
        if not _is_key(self.key):
            raise InvalidNameError(
                f"{self.key!r:.300} is no key of an object that can be reached; give one of at "
                f"most {_LONGEST_KEY} bytes without control characters or dots alone",
                key=self.key,
            )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Take an ``s3:`` URL apart; ``InvalidNameError`` if it is none."""
        match = _URL.fullmatch(url)
        if match is None:
            shown = redacted(url)
            raise InvalidNameError(f"{shown!r:.300} is not of the form s3://bucket/key", url=shown)
        return cls(match[1], match[2])

    @property
    def url(self) -> str:
        """The URL that data sources open."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def arguments(self) -> dict[str, str]:
        """What the SDK's methods call the two."""
        return {"Bucket": self.bucket, "Key": self.key}

    def web_url(self, endpoint: str) -> str:
        """Return the URL that a web client opens, with escapes where it needs them."""
        return f"{endpoint.rstrip('/')}/{self.bucket}/{quote(self.key, safe='/~')}"


def check_bucket(bucket: str) -> None:
    """Raise ``InvalidNameError`` unless a bucket can have that name."""
    if not _BUCKET.fullmatch(bucket):
        # Where a URL has its bucket, some write their keys.
        shown = re.sub(r":(?!//).*", ":***", bucket, flags=re.DOTALL)
        raise InvalidNameError(f"{shown!r:.300} is not the name of a bucket", bucket=shown)


def can_begin_key(text: str) -> bool:
    """Tell whether any object that can be reached may have a key that begins so."""
    return _is_key(f"{text}x")


def _is_key(key: str) -> bool:
    try:
        fits = 0 < len(key.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False
    # The HTTP client resolves segments of dots, so such a path would lead to another object.
    return fits and not _CONTROL.search(key) and not {".", ".."} & set(key.split("/"))
