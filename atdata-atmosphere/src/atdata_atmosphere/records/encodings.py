"""Metadata of datasets: written as msgpack bytes, and read in every form that was ever written."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgpack

from atdata.errors import CorruptDataError, FieldError, LimitExceededError
from atdata.index.metadata import read_json, to_json_object

MAX_METADATA_BYTES = 100_000

# The keys of the JSON form, and what users called them.
_SNAKE = {
    "sourceUri": "source_uri",
    "createdBy": "created_by",
    "version": "version",
    "processingSteps": "processing_steps",
    "split": "split",
}


def encode_metadata(metadata: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return metadata as the JSON form of msgpack bytes, in which floats are fine.

    Raises:
        FieldError: JSON could not hold it either.
        LimitExceededError: it takes more than 100,000 bytes.
    """
    packed = msgpack.packb(to_json_object(metadata, owner))
    if len(packed) > MAX_METADATA_BYTES:
        raise LimitExceededError(
            f"the metadata of {owner!r:.220} takes {len(packed)} bytes; a record may hold "
            f"{MAX_METADATA_BYTES}, so put the rest into a file beside the data",
            size=len(packed),
        )
    return {"$bytes": base64.b64encode(packed).decode().rstrip("=")}


def decode_metadata(value: Any, where: str) -> dict[str, Any] | None:
    """Read metadata: msgpack or JSON in bytes, a JSON object, or one with ``custom`` below it."""
    if value is None:
        return None
    raw = _to_bytes(value, where)
    found = _flatten(value) if raw is None else _unpack(raw, where)
    try:
        return to_json_object(found, where)
    except FieldError as error:
        raise CorruptDataError(f"{where} is not metadata: {error}", field=where) from error


def _to_bytes(value: Any, where: str) -> bytes | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, Mapping):
        raise CorruptDataError(f"{where} is {value!r:.80}, neither bytes nor a map", field=where)
    encoded = value.get("$bytes")
    if encoded is None:
        return None
    try:
        # Written with padding by some and without by others.
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise CorruptDataError(f"{where} holds $bytes that are no base64", field=where) from error


def _unpack(raw: bytes, where: str) -> Any:
    try:
        if raw.startswith(b"{"):
            return read_json(raw)
        return msgpack.unpackb(raw)
    # msgpack's own errors are ValueErrors; StackError and the like derive from them too.
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(
            f"{where} holds bytes that are neither msgpack nor JSON: {error}", field=where
        ) from error


def _flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the keys of the JSON form to one level, as users gave them."""
    custom = value.get("custom")
    if not isinstance(custom, Mapping):
        return {_SNAKE.get(key, key): item for key, item in value.items()}
    own = {_SNAKE.get(key, key): item for key, item in value.items() if key != "custom"}
    return {**own, **custom}
