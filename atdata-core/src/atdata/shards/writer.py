"""Writing samples into a shard: plain ustar, and the same bytes for the same samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import IO, Any, NamedTuple

from atdata.errors import LimitExceededError, StorageError
from atdata.shards import tar
from atdata.shards.parallel import meanwhile

_PADDING = bytes(tar.BLOCK)
_BUFFER = 1 << 20


def write_all(stream: Any, data: bytes) -> None:
    """Write data to a stream, which if it is a raw one may take only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


class ShardDigest(NamedTuple):
    """What is known of a shard once it is written: samples, bytes, and SHA-256 in hex."""

    # Hides a method of tuples that nobody needs here.
    count: int  # type: ignore[assignment]
    bytes: int
    sha256: str


class ShardWriter:
    """Appends packed samples to a binary stream; ``finish`` ends the archive.

    The stream is written in pieces of about a megabyte, never sought, and not closed. Not for use
    from several threads.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._hashing: Callable[[], None] | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self.count = 0
        self.bytes = 0

    def write(self, key: str, payload: bytes) -> None:
        """Append a packed sample under a key without dots that with ``.msgpack`` fits 100 bytes."""
        size = len(payload)
        name = key.encode() + b".msgpack"
        if size > tar.MAX_SIZE or len(name) > tar.MAX_NAME:
            raise LimitExceededError(
                f"sample {key!r} of {size} bytes does not fit a tar member; "
                f"names end at {tar.MAX_NAME} bytes and data at {tar.MAX_SIZE}"
            )
        self._pending.append(tar.format_header(name, size))
        self._pending.append(payload)
        self._pending.append(_PADDING[: -size % tar.BLOCK])
        self.count += 1
        self._add(tar.BLOCK + tar.padded(size))

    def finish(self) -> ShardDigest:
        """Write the end-of-archive blocks and everything pending."""
        self._pending.append(tar.END)
        self._add(len(tar.END))
        self._flush()
        self._finish_hashing()
        return ShardDigest(self.count, self.bytes, self._sha256.hexdigest())

    def _add(self, size: int) -> None:
        self.bytes += size
        self._pending_bytes += size
        if self._pending_bytes >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        chunk = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._finish_hashing()
        # Hashing takes twice as long as writing: it goes on while the next samples are packed.
        self._hashing = meanwhile(partial(self._sha256.update, chunk), len(chunk))
        self._write(chunk)

    def _finish_hashing(self) -> None:
        if self._hashing is not None:
            self._hashing()

    def _write(self, chunk: bytes) -> None:
        try:
            write_all(self._stream, chunk)
        except OSError as error:
            raise StorageError(f"a shard could not be written: {error.strerror}") from error
