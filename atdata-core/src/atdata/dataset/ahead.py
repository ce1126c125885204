"""Reading ahead: a thread fetches remote shards while the samples before them are consumed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from atdata.errors import StorageError
from atdata.shards import DigestStream

CHUNK = 1 << 20
# What may be fetched and not yet consumed, over all shards.
IN_FLIGHT = 32 << 20


def open_shards(
    source: Any, shards: Iterable[str], *, digests: bool = False
) -> Generator[tuple[str, Any], None, None]:
    """Yield shards with open streams, one after the other, each closed when the next is asked for.

    With ``digests`` each stream has a ``sha256``, which is complete once the stream is at its end.
    Shards of a source that says ``is_remote`` are read ahead, and digested, by one thread, which
    ends with the iterator. Such an iterator cannot be used on both sides of a fork: in the child it
    raises.
    """
    if not getattr(source, "is_remote", False):
        for shard in shards:
            with closing(source.open_shard(shard)) as stream:
                yield shard, DigestStream(stream) if digests else stream
        return
    ahead = _Ahead(source, shards, digests=digests)
    try:
        while (name := ahead.next_shard()) is not None:
            yield name, ahead
    finally:
        ahead.stop()


@dataclass(frozen=True)
class _End:
    """Marks the end of a shard in the queue, and holds its digest if that is wanted."""

    sha256: str | None


class _Ahead:
    """A queue of fetched chunks, the thread that fills it, and the stream of the shard at hand."""

    def __init__(self, source: Any, shards: Iterable[str], *, digests: bool) -> None:
        self._source = source
        self._shards = iter(shards)
        self._digests = digests
        self._sha256: str | None = None
        self._owner = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[str | bytes | _End | BaseException] = deque()
        self._size = 0
        self._stopped = self._done = False
        self._at_end = True
        self._rest = memoryview(b"")
        self._thread = threading.Thread(target=self._fetch, name="atdata-read-ahead", daemon=True)
        self._thread.start()

    def next_shard(self) -> str | None:
        """Wait for the next shard to be opened; None after the last."""
        while not self._at_end:
            self._next_chunk()
        item = self._take()
        if item is None:
            return None
        self._at_end = False
        assert isinstance(item, str)  # noqa: S101 -- a shard begins with its name
        return item

    def readinto(self, buffer: memoryview) -> int:
        """Copy fetched bytes of the shard at hand; 0 at its end."""
        if not self._rest and not self._at_end:
            self._next_chunk()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def sha256(self) -> str:
        """Return the SHA-256, in hex, of the shard that is at its end."""
        assert self._sha256 is not None  # noqa: S101 -- asked for where digests are wanted
        return self._sha256

    def stop(self) -> None:
        """End the thread, which may be in a read that has to come back first."""
        if self._is_elsewhere():
            # The lock may be held by the thread, which did not come along.
            return
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
        # One that hangs longer is left to itself: it holds nothing up, and ends with the process.
        self._thread.join(timeout=5)

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._owner

    def _next_chunk(self) -> None:
        item = self._take()
        if isinstance(item, bytes):
            self._rest = memoryview(item)
        else:
            self._at_end = True
            self._sha256 = item.sha256 if isinstance(item, _End) else None

    def _take(self) -> str | bytes | _End | None:
        if self._is_elsewhere():
            raise StorageError(
                "this iterator reads ahead in the process that forked; iterate again"
            )
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._done)
            if not self._queue:
                return None
            item = self._queue.popleft()
            self._size -= len(item) if isinstance(item, bytes) else 0
            self._changed.notify_all()
        if isinstance(item, BaseException):
            raise item
        return item

    def _put(self, item: str | bytes | _End | BaseException) -> bool:
        """Queue an item when there is room; False if nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._size < IN_FLIGHT)
            self._queue.append(item)
            self._size += len(item) if isinstance(item, bytes) else 0
            self._changed.notify_all()
            return not self._stopped

    def _fetch(self) -> None:
        try:
            for shard in self._shards:
                if not self._fetch_shard(shard):
                    return
        # Whatever went wrong is raised where the samples are asked for.
        except BaseException as error:  # noqa: BLE001
            self._put(error)
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _fetch_shard(self, shard: str) -> bool:
        digest = hashlib.sha256() if self._digests else None
        with closing(self._source.open_shard(shard)) as stream:
            wanted = self._put(shard)
            while wanted and (chunk := stream.read(CHUNK)):
                if digest is not None:
                    digest.update(chunk)
                wanted = self._put(bytes(chunk))
        return wanted and self._put(_End(None if digest is None else digest.hexdigest()))
