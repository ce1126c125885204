"""Reading the samples of a shard: any WebDataset tar with one ``.msgpack`` member per sample.

The shard is read through one window that is refilled from the stream, so memory is bounded by the
window or the largest sample, whichever is larger. Nothing is skipped silently: an archive that
ends early, continues after its end, or holds what is not a sample is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from atdata.errors import CorruptDataError, LimitExceededError, MissingMsgpackError, TruncatedShardError
from atdata.shards import tar
from atdata.shards.runs import Run

WINDOW = 4 << 20
# One msgpack sample cannot be longer than its 32-bit lengths allow, with room for several arrays.
MAX_MEMBER = 16 << 30
MAX_EXTENSION = 1 << 20

_SUFFIX = b".msgpack"
_FOREIGN = {
    b"\x1f\x8b": "gzip",
    b"BZ": "bzip2",
    b"\xfd7": "xz",
    b"\x28\xb5": "zstd",
    b"PK": "zip",
}


def read_runs(stream: IO[bytes], shard: str, *, window: int = WINDOW) -> Iterator[Run]:
    """Yield the samples of a shard in order, a window at a time.

    The stream is read to its end, never sought, and not closed.

    Raises:
        TruncatedShardError: the stream ends before the end-of-archive blocks.
        MissingMsgpackError: a sample has no ``.msgpack`` member.
        CorruptDataError: anything else that is wrong with the archive; all name the shard.
    """
    reader = _Reader(_Window(stream, shard, window), shard)
    found = False
    for run in reader.runs():
        found = True
        yield run
    if not found:
        raise CorruptDataError(f"shard {shard} holds no samples", shard=shard)


class _Window:
    """A sliding view of a stream; ``at`` is the offset of its first byte in the shard."""

    def __init__(self, stream: IO[bytes], shard: str, size: int) -> None:
        self._readinto: Any = getattr(stream, "readinto", None)
        self._stream = stream
        self._shard = shard
        self._buffer = bytearray(size)
        self._start = self._end = 0
        self.at = 0

    @property
    def ready(self) -> int:
        """How many bytes can be taken without reading."""
        return self._end - self._start

    def peek(self, start: int, stop: int) -> bytes:
        """Copy bytes out of the window, by their distance from its first byte."""
        return bytes(memoryview(self._buffer)[self._start + start : self._start + stop])

    def skip(self, count: int) -> None:
        """Move past bytes that are ready."""
        self._start += count
        self.at += count

    def fill(self, wanted: int) -> bool:
        """Read until that many bytes are ready; False if the stream ends before."""
        if self._start:
            self._buffer[: self.ready] = self._buffer[self._start : self._end]
            self._start, self._end = 0, self.ready
        while self._end < wanted:
            if self._end == len(self._buffer):
                # What a header claims is believed only as far as the data really comes.
                self._buffer.extend(bytes(min(len(self._buffer), wanted - self._end)))
            count = self._read()
            if not count:
                return False
            self._end += count
        return True

    def _read(self) -> int:
        room = memoryview(self._buffer)[self._end :]
        if self._readinto is not None:
            return self._readinto(room) or 0
        data = self._stream.read(len(room))
        room[: len(data)] = data
        return len(data)


class _Reader:
    """Groups the members of one archive into samples, and samples into runs."""

    def __init__(self, window: _Window, shard: str) -> None:
        self._window = window
        self._shard = shard
        # The sample being gathered: consecutive members with one key are one sample.
        self._key: bytes | None = None
        self._payload: bytes | None = None
        self._renamed: bytes | None = None
        self._resized: int | None = None
        self._keys: list[str] = []
        self._payloads: list[bytes] = []

    def runs(self) -> Iterator[Run]:
        while (header := self._next_header()) is not None:
            size = tar.padded(header.size)
            if self._window.ready < size:
                if self._payloads:
                    yield self._take_run()
                self._need(size)
            self._take_member(header)
            self._window.skip(size)
        self._finish_sample()
        if self._payloads:
            yield self._take_run()

    def _next_header(self) -> tar.Header | None:
        """Read the header at the window's first byte; None at the end of the archive."""
        self._need(tar.BLOCK)
        block = self._window.peek(0, tar.BLOCK)
        if block[0] == 0 and not any(block):
            self._expect_end()
            return None
        try:
            header = tar.parse_header(block)
        except CorruptDataError as error:
            raise self._corrupt(_why_not_tar(block, self._window.at) or str(error)) from error
        if self._resized is not None:
            header = header._replace(size=self._resized)
            self._resized = None
        if header.size > MAX_MEMBER:
            raise LimitExceededError(
                f"shard {self._shard} claims a member of {header.size} bytes at offset "
                f"{self._window.at}; at most {MAX_MEMBER} are read",
                shard=self._shard,
            )
        self._window.skip(tar.BLOCK)
        return header

    def _take_member(self, header: tar.Header) -> None:
        name, size, kind = header
        if kind in tar.REGULAR:
            if self._renamed is not None:
                name, self._renamed = self._renamed, None
            self._take_file(name, size)
        elif kind == tar.PAX:
            self._read_pax(self._extension(size))
        elif kind == tar.GNU_LONG_NAME:
            self._renamed = self._extension(size).rstrip(b"\0")
        elif kind not in (tar.PAX_GLOBAL, tar.GNU_LONG_LINK, tar.DIRECTORY):
            shown = name.decode("utf-8", "replace")
            raise self._corrupt(f"holds a {tar.kind_name(kind)}, {shown!r}; only plain files are read")

    def _take_file(self, name: bytes, size: int) -> None:
        folder, slash, base = name.rpartition(b"/")
        stem, dot, extension = base.partition(b".")
        if not dot or not stem:
            raise self._corrupt(f"holds {name.decode('utf-8', 'replace')!r}, whose name has no key and extension")
        key = folder + slash + stem
        if key != self._key:
            self._finish_sample()
            self._key = key
        if extension == b"msgpack" or extension.lower() == b"msgpack":
            if self._payload is not None:
                raise self._corrupt(f"holds two .msgpack members with the key {self._shown_key!r}")
            self._payload = self._window.peek(0, size)

    def _finish_sample(self) -> None:
        if self._key is None:
            return
        if self._payload is None:
            raise MissingMsgpackError(
                f"Malformed sample: 'msgpack' field not found in sample {self._shown_key!r} of shard "
                f"{self._shard}; atdata reads samples written by atdata, or with sample.as_wds",
                shard=self._shard,
                key=self._shown_key,
            )
        self._keys.append(self._shown_key)
        self._payloads.append(self._payload)
        self._key = self._payload = None

    def _take_run(self) -> Run:
        run = Run(self._shard, self._keys, self._payloads)
        self._keys, self._payloads = [], []
        return run

    @property
    def _shown_key(self) -> str:
        return (self._key or b"").decode("utf-8", "replace")

    def _extension(self, size: int) -> bytes:
        if size > MAX_EXTENSION:
            raise self._corrupt(f"has an extended header of {size} bytes")
        return self._window.peek(0, size)

    def _read_pax(self, data: bytes) -> None:
        """Take name and size from a PAX header: lines of ``length key=value``."""
        while data:
            digits, _, rest = data.partition(b" ")
            length = int(digits) if digits.isdigit() and len(digits) <= 7 else 0  # noqa: PLR2004
            keyword, equals, value = rest[: length - len(digits) - 1].partition(b"=")
            if not equals or not value.endswith(b"\n") or length > len(data):
                raise self._corrupt("has a malformed PAX header")
            if keyword == b"path":
                self._renamed = value[:-1]
            elif keyword == b"size":
                self._resized = int(value) if value[:-1].isdigit() and len(value) < 20 else -1  # noqa: PLR2004
            elif keyword.startswith(b"GNU.sparse"):
                raise self._corrupt("holds a sparse file; only plain files are read")
            data = data[length:]
        if self._resized == -1:
            raise self._corrupt("has a malformed PAX header")

    def _need(self, size: int) -> None:
        if self._window.ready < size and not self._window.fill(size):
            offset = self._window.at + self._window.ready
            raise TruncatedShardError(
                f"shard {self._shard} is truncated: it ends at offset {offset}, before its "
                "end-of-archive mark; copy or write it again",
                shard=self._shard,
                offset=offset,
            )

    def _expect_end(self) -> None:
        """Check that nothing but zeros follows the first zero block."""
        while self._window.fill(1):
            ready = self._window.ready
            if self._window.peek(0, ready).count(0) != ready:
                raise self._corrupt("goes on after its end-of-archive mark")
            self._window.skip(ready)

    def _corrupt(self, what: str) -> CorruptDataError:
        offset = self._window.at
        return CorruptDataError(
            f"shard {self._shard} {what} (offset {offset})", shard=self._shard, offset=offset
        )


def _why_not_tar(block: bytes, offset: int) -> str | None:
    """Say what the first block of something that is no tar looks like."""
    if offset:
        return None
    for magic, name in _FOREIGN.items():
        if block.startswith(magic):
            return f"is {name}-compressed, not a plain tar; decompress it, or open it with compression="
    return "is not a tar archive"
