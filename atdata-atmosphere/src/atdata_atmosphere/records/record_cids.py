"""The CID of a record, of the value that its JSON form stands for."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from atdata.index.cids import generate_cid


def record_cid(record: Mapping[str, Any]) -> str:
    """Return the CID of a record, in which JSON spells links and bytes as maps.

    ``ValueError`` if there is no such value. https://atproto.com/specs/data-model
    """
    try:
        return generate_cid(_decoded(record))
    except (RecursionError, KeyError) as error:
        raise ValueError("the record is not a value of the data model") from error


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    [text] = value.values() if len(value) == 1 else [None]
    if isinstance(text, str) and "$bytes" in value:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if isinstance(text, str) and "$link" in value:
        # 50 ms, when the first record is read.
        from multiformats import CID

        return CID.decode(text)
    return {key: _decoded(item) for key, item in value.items()}
