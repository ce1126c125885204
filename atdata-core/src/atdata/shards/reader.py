"""Reading the samples of a shard: any WebDataset tar with one ``.msgpack`` member per sample.

Samples are found many at a time where the members of a shard are alike, and one by one where they
are not; both ways read the same samples and raise the same errors. Nothing is skipped silently: an
archive that ends early, continues after its end, or holds what is not a sample is an error. What is
compressed with gzip is decompressed, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from atdata.shards.archive import Archive
from atdata.shards.compressed import bytes_read, decompressed, is_decompressed
from atdata.shards.compressions import GZIP
from atdata.shards.large import LargeReader, Place
from atdata.shards.layout import Layout, make_layout
from atdata.shards.local import LocalFile
from atdata.shards.members import Members, find_members
from atdata.shards.numbered import Numbered
from atdata.shards.runs import Matched, Rows, Run, Samples, decode, match_run
from atdata.shards.shard import Expected
from atdata.shards.window import SIZE, Window

# A series or run must be this long to be worth its fixed cost.
_WORTHWHILE = 4
_WORTHWHILE_BYTES = 64 << 10
_LONGEST_PAUSE = 256
_TELLING = 16
_MAGIC = 8


class _Pause:
    """How long to read one by one before looking again for what was not there."""

    def __init__(self) -> None:
        self._length = 0

    def after(self, found: int) -> int:
        """Return how long it is after a look that found so many: little makes it longer."""
        self._length = 0 if found >= _WORTHWHILE else min(2 * self._length or 1, _LONGEST_PAUSE)
        return self._length


class ShardReader:
    """Reads shards of one type of samples, one after the other.

    What one shard teaches about the layout of samples is tried on the next; they share a buffer.
    """

    def __init__(self, sample_type: type[Any], *, window: int = SIZE) -> None:
        self._window = Window(window)
        self._type = sample_type
        self._layout: Layout | None = None
        self._loose: Layout | None = None
        self._large: LargeReader | None = None
        self._numbered: Numbered | None = None
        # The samples of all shards so far.
        self.count = 0

    @property
    def skipped(self) -> int:
        """How many members of the last shard were the junk of other tools."""
        return self._archive.skipped

    def read(
        self, stream: IO[bytes], shard: str, expected: Expected | None = None
    ) -> Iterator[Rows]:
        """Yield the samples of a shard in order, as runs where they are alike; there may be none.

        Rows are valid until the next ones are asked for. The stream is read to its end and not
        closed; a local file is also read by position. What is expected of the shard is compared
        before the last of them are through; its digest needs a stream with ``sha256``, as
        ``DigestStream`` is.

        Raises:
            TruncatedShardError: the stream ends before the end-of-archive blocks.
            MissingMsgpackError: a sample has no ``.msgpack`` member.
            CorruptDataError: anything else that is wrong with archive or samples, or the shard is
                not the one that was expected.
            FieldError: a sample does not fit the type.
        """
        self._begin(stream, shard, expected)
        before = self.count
        for rows in self._rows():
            self.count += len(rows)
            yield rows
        if expected is not None:
            self._check_end(stream, self.count - before, expected)

    def _begin(self, stream: IO[bytes], shard: str, expected: Expected | None) -> None:
        self._window.begin(stream)
        self._archive = Archive(self._window, shard)
        self._shard = shard
        self._file, self._gzip = LocalFile.of(stream, shard), None
        if expected is not None and self._file is not None:
            expected.check_bytes(shard, self._file.size - self._file.start)
        # A local file is not read through the window where its values are large.
        start = (self._file or self._window).first(_MAGIC)
        if start.startswith(GZIP.magic) and not is_decompressed(stream):
            self._file, self._gzip = None, decompressed(stream, shard, self._window.take())
            self._window.begin(self._gzip)
        # How many members, samples and series are still to be read in simpler ways.
        self._single_members = 0
        self._single_samples = 0
        self._small_runs = 0
        self._member_pause = _Pause()
        self._sample_pause = _Pause()
        self._large_pause = _Pause()

    def _check_end(self, stream: Any, count: int, expected: Expected) -> None:
        size = self._window.at if self._gzip is None else bytes_read(self._gzip)
        expected.check_bytes(self._shard, size)
        expected.check_count(self._shard, count)
        if expected.sha256 is not None:
            expected.check_digest(self._shard, stream.sha256())

    def _rows(self) -> Iterator[Rows]:
        while True:
            yield from self._large_rows()
            if not self._archive.has_member():
                return
            if not self._single_members and self._archive.is_between_samples:
                members = self._find_members()
                if members is not None:
                    yield from self._rows_of(members)
                    self._consume(members)
                    continue
            self._single_members = max(0, self._single_members - 1)
            if (sample := self._archive.take_member()) is not None:
                key, payload = sample
                yield Samples([decode(self._type, payload, self._shard, partial(str, key))])

    def _large_rows(self) -> Iterator[Rows]:
        """Yield what can be read by its outlines, and leave the window behind it."""
        if self._large is None or self._file is None or not self._archive.is_between_samples:
            return
        if self._small_runs:
            self._small_runs -= 1
            return
        found = 0
        while run := self._large.find(
            Place(self._file, self._file.start + self._window.at), self._archive.key
        ):
            found = len(run)
            yield run
            self._archive.finish_members(run.last_key, run.size)
        self._small_runs = self._large_pause.after(found)

    def _find_members(self) -> Members | None:
        self._archive.fill_member()
        members = self._members_at_hand()
        found = len(members.data) if members is not None else 0
        is_long = members is not None and self._size_of(members) >= _WORTHWHILE_BYTES
        self._single_members = self._member_pause.after(_WORTHWHILE if is_long else found)
        return members

    def _members_at_hand(self) -> Members | None:
        where = self._window.blocks(), self._window.start, self._archive.key
        if self._numbered is not None and (members := self._numbered.find(*where)) is not None:
            return members
        members = find_members(*where)
        # A few, as before the end of a shard, say nothing of the next one.
        if members is not None and len(members.data) >= _TELLING:
            self._numbered = Numbered.like(members, self._window.buffer, self._window.start)
        return members

    def _size_of(self, members: Members) -> int:
        return members.end - self._window.start

    def _consume(self, members: Members) -> None:
        last = members.key(self._window.buffer, len(members.data) - 1)
        self._archive.finish_members(last, self._size_of(members))

    def _rows_of(self, members: Members) -> Iterator[Rows]:
        at = 0
        while at < len(members.data):
            rest = members.after(at)
            if not self._single_samples:
                run = self._run_of(rest)
                found = len(run) if run is not None else 0
                # A run that nothing but the window ends is as long as can be.
                is_whole = at + found == len(members.data)
                self._single_samples = self._sample_pause.after(_WORTHWHILE if is_whole else found)
                if run is not None and not self._single_samples:
                    yield run
                    at += found
                    continue
                self._single_samples += found
            rest = rest.before(self._single_samples)
            yield from self._differing(rest)
            self._single_samples -= len(rest.data)
            at += len(rest.data)

    def _differing(self, members: Members) -> Iterator[Rows]:
        """Read samples whose arrays or bytes differ in length, or that differ in any way."""
        matched = self._match(members, self._loose, loose=True)
        found = 0
        if matched is not None:
            found = len(matched.rows)
            self._loose = matched.layout
            yield Run(matched, self._shard)
        if found < len(members.data):
            yield Samples([self._decode(members, row) for row in range(found, len(members.data))])

    def _run_of(self, members: Members) -> Run | None:
        matched = self._match(members, self._layout, loose=False)
        if matched is None:
            return None
        self._learn(matched.layout)
        return Run(matched, self._shard)

    def _match(self, members: Members, before: Layout | None, *, loose: bool) -> Matched | None:
        """Find the run that the first member begins, by the layout before or one of its own."""
        buffer = self._window.buffer
        if before is not None and (matched := match_run(before, buffer, members)) is not None:
            return matched
        own = make_layout(buffer.data[members.span(0)], self._type, loose=loose)
        return match_run(own, buffer, members) if own is not None else None

    def _learn(self, layout: Layout) -> None:
        if layout is not self._layout:
            large = LargeReader(layout)
            self._layout, self._large = layout, large if large.is_useful else None

    def _decode(self, members: Members, row: int) -> Any:
        buffer = self._window.buffer
        payload = buffer[members.span(row)].tobytes()
        return decode(self._type, payload, self._shard, lambda: members.shown_key(buffer, row))
