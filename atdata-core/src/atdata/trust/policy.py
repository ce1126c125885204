"""Which URLs are opened because data names them, and how: by who wrote the data."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote, unquote

from atdata.errors import LimitExceededError, UntrustedInputError
from atdata.trust.addresses import check_host
from atdata.trust.secrets import redacted

Writer = Literal["own index", "shared index", "network record"]
Way = Literal["file", "web", "bucket", "blob", "plugin", "store", "allowed"]

LONGEST_URL = 8192

# What readers take for a scheme; all else is a path to them.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PIPE = re.compile(r"\s*pipe:", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_IPV6 = re.compile(r"://\[[0-9A-Fa-f:.]*\]")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9._-]{1,254}/.+", re.IGNORECASE)
# Where what may be allowed begins: a server, a bucket, or the folder of a file.
_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]+|/.*(?=/)")
_AUTHORITY_END = re.compile(r"[/?#]")
_ROOTED = re.compile(r"[/~]|[A-Za-z][A-Za-z0-9+.-]*:")
# An escape of an escape of an escape is not meant to be read.
_ESCAPED = 8


class Owner(Protocol):
    """A store, as far as a policy asks it."""

    def owns(self, url: str) -> bool:
        """Tell by its form whether a URL is one of this store's."""
        ...


@dataclass(frozen=True)
class Policy:
    """What data by one kind of writer may name.

    ``allow`` are starts of URLs that the caller allows whoever names them. ``stores`` are those
    that the caller named, whose own shards a shared index may name.
    """

    writer: Writer
    allow: tuple[str, ...] = ()
    stores: tuple[Owner, ...] = ()

    def check(self, urls: Iterable[str]) -> None:
        """Raise as ``way_to`` does for the first URL that may not be named."""
        for url in urls:
            self.way_to(url)

    def way_to(self, url: str) -> Way:
        """Tell how a URL is opened; whom a host's name leads to shows when it is connected to.

        Raises:
            UntrustedInputError: this data may not name it; the error says the scheme and a remedy.
            LimitExceededError: it is longer than ``LONGEST_URL`` bytes.
        """
        scheme = _checked_scheme(url)
        if is_allowed(url, self.allow):
            return "allowed"
        if self.writer != "network record" and any(store.owns(url) for store in self.stores):
            return "store"
        if scheme == "at":
            return "blob"
        if scheme in {"https", "http"}:
            self._check_web(url, scheme)
            return "web"
        if scheme == "s3":
            if not _BUCKET.fullmatch(url):
                raise _refused(url, scheme, "it is not of the form s3://bucket/key")
            return "bucket"
        if self.writer != "own index":
            raise _refused(url, scheme, f"a {self.writer} may not name {_called(scheme)}")
        return "file" if scheme == "file" else "plugin"

    @property
    def is_public_only(self) -> bool:
        """Whether web servers must be public ones, and buckets are opened with nobody's keys."""
        return self.writer != "own index"

    def _check_web(self, url: str, scheme: str) -> None:
        if scheme == "http" and self.is_public_only:
            raise _refused(url, scheme, f"a {self.writer} may not name {_called(scheme)}")
        authority = _AUTHORITY_END.split(url.partition("://")[2], maxsplit=1)[0]
        try:
            check_host(authority)
        except UntrustedInputError as error:
            raise _refused(url, scheme, error.details["reason"]) from None


def check_allowed(allow: Sequence[str] | str) -> tuple[str, ...]:
    """Return starts of URLs or paths that may be opened; each must end where a name does."""
    starts = (allow,) if isinstance(allow, str) else tuple(allow)
    for start in starts:
        if not start.endswith("/") or not ("://" in start or start.startswith("/")):
            raise ValueError(
                f"{start!r:.300} would allow more than it says; give a URL that ends in '/', "
                "such as 's3://my-bucket/'"
            )
    return starts


def is_allowed(url: str, allow: Sequence[str]) -> bool:
    """Tell whether a URL begins as one of some starts does, and does not climb out of it.

    A relative path is meant from the folder that the process is in.
    """
    path = _without_file(url)
    if not _ROOTED.match(path):
        path = os.path.join(os.getcwd(), path)
    if not any(path.startswith(_without_file(start)) for start in allow):
        return False
    for _ in range(_ESCAPED):
        if ".." in re.split(r"[/\\]", path):
            return False
        path, before = unquote(path), path
        if path == before:
            return True
    return False


def to_web(url: str) -> str:
    """Return the address at which everybody may read an S3 object, if its bucket is public."""
    bucket, _, key = url.partition("://")[2].partition("/")
    key = quote(key)
    # A certificate holds for one label only.
    if "." in bucket:
        return f"https://s3.amazonaws.com/{bucket}/{key}"
    return f"https://{bucket}.s3.amazonaws.com/{key}"


def _checked_scheme(url: str) -> str:
    """Return the scheme of a URL, in lower case; refuse what is never opened for data."""
    if len(url) > LONGEST_URL or len(url.encode(errors="replace")) > LONGEST_URL:
        message = f"a URL is longer than {LONGEST_URL} bytes: {redacted(url)[:100]}..."
        raise LimitExceededError(message, limit=LONGEST_URL)
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "file"
    if _PIPE.match(url):
        raise _refused(url, "pipe", "it runs a command", never=True)
    if _CONTROL.search(url):
        raise _refused(url, scheme, "it holds a control character", never=True)
    # A path without any scheme is opened as it is.
    if "::" in _IPV6.sub("", url) and "://" in url:
        raise _refused(url, scheme, "it leads through another URL", never=True)
    return scheme


def _without_file(url: str) -> str:
    return re.sub(r"\Afile://(?:localhost(?=/))?", "", url, flags=re.IGNORECASE)


def _called(scheme: str) -> str:
    return "files of this machine" if scheme == "file" else f"{scheme}: URLs"


def _refused(url: str, scheme: str, reason: str, *, never: bool = False) -> UntrustedInputError:
    shown = redacted(url)[:200]
    start = "" if never or (match := _START.match(shown)) is None else match[0]
    # What is hidden cannot be suggested.
    is_known = start and "*" not in start
    remedy = f"; if you trust who wrote it, pass allow=[{f'{start}/'!r}]" if is_known else ""
    message = f"{shown!r} is not opened: {reason}{remedy}"
    return UntrustedInputError(message, url=shown, scheme=scheme, reason=reason)
