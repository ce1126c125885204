"""Fetching a dataset's metadata from where it is kept."""

from __future__ import annotations

import io
from typing import IO, Any

from atdata.dataset.url import open_url, redacted
from atdata.errors import LimitExceededError
from atdata.samples.codec import unpack_map

MAX_BYTES = 16 << 20


def fetch_metadata(url: str) -> dict[str, Any]:
    """Read a msgpack map from a URL or path; ``CorruptDataError`` if it is something else."""
    with open_url(url) as stream:
        return read_metadata(stream, url)


def read_metadata(raw: IO[bytes], url: str) -> dict[str, Any]:
    """Read the msgpack map that a stream holds, which is closed; ``url`` is said in errors."""
    # Unbuffered streams may give less than is asked for.
    with io.BufferedReader(raw) as stream:  # type: ignore[type-var]
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise LimitExceededError(
            f"the metadata at {redacted(url)} is longer than {MAX_BYTES} bytes", limit=MAX_BYTES
        )
    return unpack_map(data, f"the metadata at {redacted(url)}")
