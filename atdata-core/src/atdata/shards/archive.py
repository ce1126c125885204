"""Reading an archive member by member: every form of tar, every rule of what a sample is."""

from __future__ import annotations

from atdata.errors import (
    CorruptDataError,
    LimitExceededError,
    MissingMsgpackError,
    TruncatedShardError,
)
from atdata.shards import tar
from atdata.shards.foreign import why_not_tar
from atdata.shards.junk import JUNK_KINDS, is_junk
from atdata.shards.tar import BLOCK
from atdata.shards.window import Window

# A msgpack sample may hold several arrays of the 4 GiB that a length of 32 bits allows.
MAX_MEMBER = 16 << 30
MAX_EXTENSION = 1 << 20

_MAX_DIGITS = 19
_EXTENSIONS = frozenset({tar.PAX, tar.PAX_GLOBAL, tar.GNU_LONG_NAME, tar.GNU_LONG_LINK})


class Archive:
    """The members of a shard behind a window, grouped into samples.

    Consecutive members whose names agree up to the first dot of the last part are one sample; its
    ``.msgpack`` member is the sample, others are passed over. So is the junk of other tools, which
    is counted in ``skipped``.
    """

    def __init__(self, window: Window, shard: str) -> None:
        self._window = window
        self._shard = shard
        self._has_payload = True
        self._renamed: bytes | None = None
        self._resized: int | None = None
        self.skipped = 0
        # The key of the sample that the last member belonged to.
        self.key: bytes | None = None

    @property
    def is_between_samples(self) -> bool:
        """Whether the next member may begin a sample and nothing waits for it."""
        return self._has_payload and self._renamed is None and self._resized is None

    def has_member(self) -> bool:
        """Whether another member follows; if not, the end is checked to be one."""
        self._need(BLOCK)
        block = self._window.peek(0, BLOCK)
        if any(block):
            return True
        self._end_sample()
        self._expect_end()
        return False

    def take_member(self) -> tuple[str, bytes] | None:
        """Move past one member and return its key and bytes if it is a sample's."""
        header = self._header()
        size = tar.padded(header.size)
        self._need(size)
        try:
            return self._interpret(header)
        finally:
            self._window.skip(size)

    def fill_member(self) -> None:
        """Read on if the member at the window's start is not complete, and if there is more."""
        self._has(self._member_size(0))

    def finish_members(self, last_key: bytes, size: int) -> None:
        """Move past members that were read by other means."""
        self.key = last_key
        if size <= self._window.ready:
            self._window.skip(size)
        else:
            self._window.jump(size)

    def _member_size(self, start: int) -> int:
        """Return the size of the member at a distance, with what it extends."""
        if not self._has(start + BLOCK):
            return 0
        try:
            header = tar.parse_header(self._window.peek(start, start + BLOCK))
        except CorruptDataError:
            return 0
        if header.size > MAX_MEMBER:
            return 0
        size = start + BLOCK + tar.padded(header.size)
        return self._member_size(size) if header.kind == tar.PAX and not start else size

    def _header(self) -> tar.Header:
        block = self._window.peek(0, BLOCK)
        try:
            header = tar.parse_header(block)
        except CorruptDataError as error:
            raise self._foreign(block) or self._damaged(str(error)) from error
        if self._resized is not None and header.kind not in _EXTENSIONS:
            header = header._replace(size=self._resized)
            self._resized = None
        if header.size > MAX_MEMBER:
            raise LimitExceededError(
                f"shard {self._shard} claims a member of {header.size} bytes at offset "
                f"{self._window.at}; at most {MAX_MEMBER} are read",
                shard=self._shard,
                offset=self._window.at,
            )
        self._window.skip(BLOCK)
        return header

    def _interpret(self, header: tar.Header) -> tuple[str, bytes] | None:
        name, size, kind = header
        if kind in tar.REGULAR:
            renamed, self._renamed = self._renamed, None
            return self._take_file(renamed or name, size)
        if kind == tar.PAX:
            self._read_extension(self._extension(size))
        elif kind == tar.GNU_LONG_NAME:
            self._renamed = self._extension(size).rstrip(b"\0")
        elif kind in JUNK_KINDS:
            self._renamed = None
            self.skipped += 1
        elif kind not in _EXTENSIONS:
            shown = name.decode("utf-8", "replace")
            raise self._corrupt(
                f"holds a {tar.kind_name(kind)}, {shown!r}; only plain files are read"
            )
        return None

    def _take_file(self, name: bytes, size: int) -> tuple[str, bytes] | None:
        if is_junk(name):
            self.skipped += 1
            return None
        folder, slash, base = name.rpartition(b"/")
        stem, dot, extension = base.partition(b".")
        if not dot or not stem:
            shown = name.decode("utf-8", "replace")
            raise self._corrupt(
                f"holds {shown!r}, whose name has no key and extension; remove it from the archive"
            )
        key = folder + slash + stem
        if key != self.key:
            self._end_sample()
            self.key, self._has_payload = key, False
        if extension.lower() != b"msgpack":
            return None
        if self._has_payload:
            raise self._corrupt(
                f"holds two .msgpack members with the key {self._shown_key!r}; give each sample a "
                "key of its own"
            )
        self._has_payload = True
        return self._shown_key, self._window.peek(0, size)

    def _end_sample(self) -> None:
        if not self._has_payload:
            raise MissingMsgpackError(
                f"Malformed sample: 'msgpack' field not found in sample {self._shown_key!r} of "
                f"shard {self._shard}; atdata reads samples written with sample.as_wds",
                shard=self._shard,
                key=self._shown_key,
            )

    @property
    def _shown_key(self) -> str:
        return (self.key or b"").decode("utf-8", "replace")

    def _extension(self, size: int) -> bytes:
        if size > MAX_EXTENSION:
            raise self._damaged(f"an extended header has {size} bytes")
        return self._window.peek(0, size)

    def _read_extension(self, data: bytes) -> None:
        """Take name and size from a PAX header: lines of ``length key=value``."""
        at = 0
        while at < len(data):
            # Copying what is left for each line would take the square of their number.
            digits = data[at : at + _MAX_DIGITS + 1].partition(b" ")[0]
            length = int(digits) if digits.isdigit() and len(digits) <= _MAX_DIGITS else 0
            line = data[at + len(digits) + 1 : max(at, at + length)]
            keyword, equals, value = line.partition(b"=")
            if not equals or not value.endswith(b"\n") or at + length > len(data):
                raise self._damaged("a PAX header is malformed")
            self._apply(keyword, value[:-1])
            at += length

    def _apply(self, keyword: bytes, value: bytes) -> None:
        if keyword == b"path":
            self._renamed = value
        elif keyword == b"size":
            if not value.isdigit() or len(value) > _MAX_DIGITS:
                raise self._damaged("a PAX header is malformed")
            self._resized = int(value)
        elif keyword.startswith(b"GNU.sparse"):
            raise self._corrupt("holds a sparse file; only plain files are read")

    def _has(self, size: int) -> bool:
        return self._window.ready >= size or self._window.fill(size)

    def _need(self, size: int) -> None:
        if not self._has(size):
            start = self._window.peek(0, self._window.ready)
            raise self._foreign(start) or truncated(self._shard, self._window.at + len(start))

    def _expect_end(self) -> None:
        """Check for the second zero block, and that nothing but zeros follows."""
        self._need(2 * BLOCK)
        while self._window.ready or self._window.fill(1):
            rest = self._window.peek(0, self._window.ready)
            zeros = len(rest) - len(rest.lstrip(b"\0"))
            self._window.skip(zeros)
            if zeros < len(rest):
                raise self._corrupt(
                    "goes on after its end-of-archive mark; join archives with tar -A, not with cat"
                )

    def _foreign(self, start: bytes) -> CorruptDataError | None:
        """Make the error for what is not a tar archive; None if it is one, or begins as one."""
        why = None if self._window.at else why_not_tar(start)
        if why is None:
            return None
        return CorruptDataError(f"shard {self._shard} {why}", shard=self._shard, offset=0)

    def _damaged(self, why: str) -> CorruptDataError:
        return self._corrupt(f"is damaged: {why}; copy or write it again")

    def _corrupt(self, what: str) -> CorruptDataError:
        offset = self._window.at
        return CorruptDataError(
            f"shard {self._shard} {what} (offset {offset})", shard=self._shard, offset=offset
        )


def truncated(shard: str, offset: int) -> TruncatedShardError:
    """Say that a shard ends at an offset, before it should."""
    what = (
        f"is truncated: it ends at offset {offset}, before its end-of-archive mark"
        if offset
        else "is empty: it has 0 bytes, and a tar archive has at least its end-of-archive mark"
    )
    message = f"shard {shard} {what}; copy or write it again"
    return TruncatedShardError(message, shard=shard, offset=offset)
