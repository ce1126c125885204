"""Which URLs are opened because a record of the network names them, and which are published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from atdata.dataset.braces import expand_braces
from atdata.errors import UntrustedInputError
from atdata.trust import checked_origin, has_secret, redacted
from atdata_atmosphere.records.blob_refs import is_blob_url, parse_url

Way = Literal["blob", "web", "bucket", "allowed"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>[^\s?#]+)")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0]")


def way_to(url: str, allow: Sequence[str] = ()) -> Way:
    """Tell how one URL that a stranger wrote is opened.

    ``allow`` are starts of URLs that the user allows, each ending in ``/``; others must be public:
    ``https:``, ``s3:`` without anybody's keys, or blobs. ``UntrustedInputError`` names the scheme.
    """
    if _is_allowed(url, allow):
        return "allowed"
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else None
    if _UNPRINTABLE.search(url) or scheme is None:
        raise _refused(url, scheme or "file", "it is no URL")
    if scheme == "at":
        parse_url(url)
        return "blob"
    if scheme == "s3":
        if not _BUCKET.fullmatch(url):
            raise _refused(url, scheme, "it is not s3://bucket/key")
        return "bucket"
    if scheme != "https":
        raise _refused(url, scheme, f"a record may not name {scheme}: URLs")
    _check_host(url)
    return "web"


def to_web(url: str) -> str:
    """Return the address at which everybody may read an S3 object, if its bucket is public."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    key = quote(key)
    # A certificate holds for one label only.
    if "." in bucket:
        return f"https://s3.amazonaws.com/{bucket}/{key}"
    return f"https://{bucket}.s3.amazonaws.com/{key}"


def check_allowed(allow: Sequence[str]) -> tuple[str, ...]:
    """Return starts of URLs that may be opened; each must end where a name does."""
    for start in allow:
        if not start.endswith("/") or "://" not in start:
            raise ValueError(
                f"{start!r} would allow more than it says; give a URL that ends in '/', "
                "such as 's3://my-bucket/'"
            )
    return tuple(allow)


def check_publishable(urls: Sequence[str], allow: Sequence[str] = ()) -> None:
    """Refuse URLs that are private, secret, or useless to everybody else.

    Raises UntrustedInputError, which says what to do instead and shows no secret.
    """
    for pattern in urls:
        for url in expand_braces(pattern):
            if is_blob_url(url):
                raise _unreferenced(url)
            if not _is_allowed(url, allow):
                _check_publishable(url)


def _check_publishable(url: str) -> None:
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match and "://" in url else "file"
    if scheme == "file":
        raise _unpublishable(url, "it is a file of this machine")
    if scheme not in {"https", "s3"}:
        raise _unpublishable(url, f"readers open no {scheme}: URLs")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise _unpublishable(url, "it has a user or password in it")
    if "#" in url:
        raise _unpublishable(url, "it has a fragment, which may be secret and no server sees")
    if has_secret(url):
        raise _unpublishable(url, "it is signed, so it gives access and will expire")
    if scheme == "https":
        try:
            _check_host(url)
        except UntrustedInputError:
            raise _unpublishable(url, "its host is private") from None


def _check_host(url: str) -> None:
    try:
        netloc = urlsplit(url).netloc
    except ValueError as error:
        raise _refused(url, "https", "it is malformed") from error
    if any(character in netloc for character in "\\%{}"):
        raise _refused(url, "https", "its host is spelled with an escape")
    checked_origin(f"https://{netloc}", allow_private=False)


def _is_allowed(url: str, allow: Sequence[str]) -> bool:
    if not any(url.startswith(start) for start in allow):
        return False
    # Nothing may climb out of what was allowed.
    return ".." not in unquote(unquote(url)).replace("\\", "/").split("/")


def _refused(url: str, scheme: str, reason: str) -> UntrustedInputError:
    shown = redacted(url)[:200]
    return UntrustedInputError(
        f"{shown!r} is not opened: {reason}; if you trust who published it, "
        "AtmosphereIndex(client, allow=['start/of/the/url/']) allows it",
        url=shown,
        scheme=scheme,
    )


def _unreferenced(url: str) -> UntrustedInputError:
    return UntrustedInputError(
        f"{url[:200]!r} is not published as a URL: servers drop blobs that no record refers to; "
        "publish_with_blobs(), or publishing the samples with data_store=PDSBlobStore(client), "
        "makes a record that does",
        url=url,
    )


def _unpublishable(url: str, reason: str) -> UntrustedInputError:
    shown = redacted(url).partition("#")[0][:200]
    return UntrustedInputError(
        f"{shown!r} is not published: {reason}; copy the shards where everybody can read them, "
        "with data_store=PDSBlobStore(client) or a public bucket",
        url=shown,
    )
