"""Which URLs are published: those that everybody may open, and nothing that is secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from atdata.dataset.braces import expand_braces
from atdata.errors import UntrustedInputError
from atdata.trust import Policy, has_secret, is_allowed, redacted
from atdata_atmosphere.records.blob_refs import is_blob_url

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_RECORD = Policy("network record")


def check_publishable(urls: Sequence[str], allow: Sequence[str] = ()) -> None:
    """Refuse URLs that are private, secret, or useless to everybody else.

    Raises UntrustedInputError, which says what to do instead and shows no secret.
    """
    for pattern in urls:
        for url in expand_braces(pattern):
            if is_blob_url(url):
                raise _unreferenced(url)
            if not is_allowed(url, allow):
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
    try:
        _RECORD.way_to(url)
    except UntrustedInputError as error:
        reason = "its host is private" if scheme == "https" else error.details["reason"]
        raise _unpublishable(url, reason) from None


def _unreferenced(url: str) -> UntrustedInputError:
    return UntrustedInputError(
        f"{url[:200]!r} is not published as a URL: servers drop blobs that no record refers to; "
        "publish_with_blobs(), or publishing the samples with data_store=PDSBlobStore(client), "
        "makes a record that does",
        url=url,
    )


def _unpublishable(url: str, reason: str) -> UntrustedInputError:
    shown = redacted(url)[:200]
    return UntrustedInputError(
        f"{shown!r} is not published: {reason}; copy the shards where everybody can read them, "
        "with data_store=PDSBlobStore(client) or a public bucket",
        url=shown,
    )
