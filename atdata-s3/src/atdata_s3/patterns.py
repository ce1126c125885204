"""Finding the objects that a pattern with wildcards stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from atdata_s3.failures import ask_for
from atdata_s3.names import S3Object


def find_keys(client: Any, pattern: S3Object) -> Iterator[str]:
    """Yield the keys that match, sorted: wildcards stop at a slash, but ``**`` is any folders."""
    fixed = re.split(r"[*?\[]", pattern.key, maxsplit=1)[0]
    parts = pattern.key.split("/")
    for found in pages(client, "list_objects_v2", pattern.bucket, fixed):
        for one in found.get("Contents", ()):
            if _matches(parts, one["Key"].split("/")):
                yield one["Key"]


def pages(client: Any, act: str, bucket: str, prefix: str) -> Iterator[Any]:
    """Yield the pages of a listing of the keys that begin with a prefix."""
    answers = iter(client.get_paginator(act).paginate(Bucket=bucket, Prefix=prefix))
    end: dict[str, Any] = {"IsTruncated": False}
    turn = partial(ask_for, "IsTruncated", f"s3://{bucket}", partial(next, answers, end))
    while (page := turn()) is not end:
        yield page


def _matches(parts: list[str], names: list[str]) -> bool:
    """Match the segments of a pattern with those of a key."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_matches(parts[1:], names[at:]) for at in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _matches(parts[1:], names[1:])
