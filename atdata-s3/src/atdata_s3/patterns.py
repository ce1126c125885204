"""Finding the objects that a pattern with wildcards stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from atdata.dataset.patterns import matches
from atdata_s3.failures import ask_for
from atdata_s3.names import S3Object


def find_keys(client: Any, pattern: S3Object) -> Iterator[str]:
    """Yield the keys that match, sorted: wildcards stop at a slash, but ``**`` is any folders."""
    fixed = re.split(r"[*?\[]", pattern.key, maxsplit=1)[0]
    parts = pattern.key.split("/")
    for found in pages(client, "list_objects_v2", pattern.bucket, fixed):
        for one in found.get("Contents", ()):
            if matches(parts, one["Key"].split("/")):
                yield one["Key"]


def pages(client: Any, act: str, bucket: str, prefix: str) -> Iterator[Any]:
    """Yield the pages of a listing of the keys that begin with a prefix."""
    answers = iter(client.get_paginator(act).paginate(Bucket=bucket, Prefix=prefix))
    end: dict[str, Any] = {"IsTruncated": False}
    turn = partial(ask_for, "IsTruncated", f"s3://{bucket}", partial(next, answers, end))
    while (page := turn()) is not end:
        yield page
