"""Reading the samples of a shard: any WebDataset tar with one ``.msgpack`` member per sample.

Samples are found many at a time where the members of a shard are alike, and one by one where they
are not; both ways read the same samples and raise the same errors. Nothing is skipped silently: an
archive that ends early, continues after its end, or holds what is not a sample is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from atdata.errors import CorruptDataError
from atdata.shards.archive import Archive
from atdata.shards.layout import Layout, make_layout
from atdata.shards.members import Members, find_members
from atdata.shards.runs import Rows, Run, Samples, decode, match_run
from atdata.shards.window import SIZE, Window

# A series or run must be this long to be worth its fixed cost.
_WORTHWHILE = 4
_WORTHWHILE_BYTES = 64 << 10
_LONGEST_PAUSE = 256


def read_rows(
    stream: IO[bytes], shard: str, sample_type: type[Any], *, window: int = SIZE
) -> Iterator[Rows]:
    """Yield the samples of a shard in order, as runs where they are alike.

    Rows are valid until the next ones are asked for. The stream is read to its end, never sought,
    and not closed.

    Raises:
        TruncatedShardError: the stream ends before the end-of-archive blocks.
        MissingMsgpackError: a sample has no ``.msgpack`` member.
        CorruptDataError: anything else that is wrong with archive or samples.
        FieldError: a sample does not fit the type.
    """
    reader = _Reader(Window(stream, window), shard, sample_type)
    found = False
    for rows in reader.rows():
        found = True
        yield rows
    if not found:
        raise CorruptDataError(f"shard {shard} holds no samples", shard=shard)


class _Pause:
    """Decides when to stop looking for what was not there, and when to look again."""

    def __init__(self) -> None:
        self._length = 1
        self._left = 0

    def is_over(self) -> bool:
        if self._left:
            self._left -= 1
            return False
        return True

    def record(self, found: int) -> None:
        """Note how much a look found: little makes the next pause longer."""
        self._length = 1 if found >= _WORTHWHILE else min(2 * self._length, _LONGEST_PAUSE)
        self._left = self._length - 1


class _Reader:
    def __init__(self, window: Window, shard: str, sample_type: type[Any]) -> None:
        self._window = window
        self._archive = Archive(window, shard)
        self._shard = shard
        self._type = sample_type
        self._layout: Layout | None = None
        self._series_pause = _Pause()
        self._run_pause = _Pause()

    def rows(self) -> Iterator[Rows]:
        while self._archive.has_member():
            members = self._find_members()
            if members is not None:
                yield from self._rows_of(members)
                self._consume(members)
                continue
            if (sample := self._archive.take_member()) is not None:
                key, payload = sample
                yield Samples([decode(self._type, payload, self._shard, key)])

    def _find_members(self) -> Members | None:
        if not self._archive.is_between_samples or not self._series_pause.is_over():
            return None
        self._archive.fill_member()
        members = find_members(self._window.blocks(), self._window.start, self._archive.key)
        is_worthwhile = members is not None and self._size_of(members) >= _WORTHWHILE_BYTES
        self._series_pause.record(
            _WORTHWHILE if is_worthwhile else len(members.data) if members else 0
        )
        return members

    def _size_of(self, members: Members) -> int:
        return members.end - self._window.start

    def _consume(self, members: Members) -> None:
        last = members.key(self._window.buffer, len(members.data) - 1)
        self._archive.finish_series(last, self._size_of(members))

    def _rows_of(self, members: Members) -> Iterator[Rows]:
        at = 0
        while at < len(members.data):
            rest = members.after(at)
            run = self._run_of(rest) if self._run_pause.is_over() else None
            if run is None:
                yield Samples([self._decode(rest, 0)])
                at += 1
            else:
                yield run
                at += len(run)

    def _run_of(self, members: Members) -> Run | None:
        """Find the run that the first member begins, by the layout before or one of its own."""
        buffer = self._window.buffer
        for layout in self._layouts(members):
            rows, texts, count = match_run(layout, buffer, members)
            if count:
                self._layout = layout
                self._run_pause.record(count)
                return Run(
                    layout,
                    rows,
                    buffer,
                    members,
                    texts,
                    lambda row: (self._shard, _shown(members.key(buffer, row))),
                )
        self._run_pause.record(0)
        return None

    def _layouts(self, members: Members) -> Iterator[Layout]:
        if self._layout is not None:
            yield self._layout
        begin, size = int(members.data[0]), int(members.sizes[0])
        sample = self._window.buffer.data[begin : begin + size]
        if (layout := make_layout(sample, self._type)) is not None:
            yield layout

    def _decode(self, members: Members, row: int) -> Any:
        begin, size = int(members.data[row]), int(members.sizes[row])
        payload = self._window.buffer[begin : begin + size].tobytes()
        return decode(
            self._type, payload, self._shard, _shown(members.key(self._window.buffer, row))
        )


def _shown(key: bytes) -> str:
    return key.decode("utf-8", "replace")
