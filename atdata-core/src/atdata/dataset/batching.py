"""Putting samples together into batches: as columns where they have a form, else as objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from atdata.dataset.batch import SampleBatch
from atdata.errors import BatchError
from atdata.samples import DictSample
from atdata.shards import Columns, Rows

# Small batches are made several at a time, in one piece of memory.
_TOGETHER = 256 << 10


def batch_rows(
    rows: Iterable[Rows], size: int, sample_type: type[Any]
) -> Iterator[SampleBatch[Any]]:
    """Cut rows into batches, the last one shorter; each field is copied once, into its batch."""
    batch = _Batch(size)
    for part in rows:
        at = 0
        while at < len(part):
            if not batch.count:
                for columns in _whole_batches(part, at, size):
                    at += size
                    yield SampleBatch(columns, sample_type=sample_type)
            if at < len(part):
                at = batch.add(part, at)
            if batch.is_full:
                yield SampleBatch(batch.take(), sample_type=sample_type)
    if batch.count:
        yield SampleBatch(batch.take(), sample_type=sample_type)


def _whole_batches(part: Rows, start: int, size: int) -> Iterator[Columns]:
    """Make batches of rows from one on, as long as they are at hand for at least two."""
    if part.form is None:
        return
    together = _TOGETHER // max(1, part.form.row_bytes * size)
    while (count := min(together, (len(part) - start) // size)) > 1:
        block = part.form.empty(count * size)
        part.fill(block, slice(0, count * size), start, start + count * size)
        for first in range(0, count * size, size):
            yield block.part(first, first + size)
        start += count * size


def batch_samples(
    samples: Iterator[Any], size: int, sample_type: type[Any]
) -> Iterator[SampleBatch[Any]]:
    """Cut single samples into batches, the last one shorter; dicts become ``DictSample``."""
    while chunk := list(islice(samples, size)):
        yield SampleBatch([_as_sample(sample) for sample in chunk], sample_type=sample_type)


class _Batch:
    """A batch that is being put together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._columns: Columns | None = None
        # Samples of several forms, or of none, are kept as they are.
        self._samples: list[Any] | None = None
        self.count = 0

    @property
    def is_full(self) -> bool:
        return self.count == self._size

    def add(self, part: Rows, start: int) -> int:
        """Add what there is room for, from a row on, and return the row after the last taken."""
        stop = min(len(part), start + self._size - self.count)
        columns = self._columns_for(part)
        after = self.count + stop - start
        if columns is not None:
            part.fill(columns, slice(self.count, after), start, stop)
        else:
            self._as_samples().extend(part.samples(start, stop))
        self.count = after
        return stop

    def take(self) -> Columns | list[Any]:
        """Return the rows so far and begin anew."""
        taken: Columns | list[Any]
        if self._columns is not None:
            taken = self._columns if self.is_full else self._columns.part(0, self.count)
        else:
            taken = self._as_samples()
        self._columns = self._samples = None
        self.count = 0
        return taken

    def _columns_for(self, part: Rows) -> Columns | None:
        """Return the columns if they have the rows' form; the first rows decide it."""
        if part.form is None or self._samples is not None:
            return None
        if self._columns is None:
            self._columns = part.form.empty(self._size)
        return self._columns if self._columns.form == part.form else None

    def _as_samples(self) -> list[Any]:
        if self._samples is None:
            self._samples = []
            if self._columns is not None:
                self._samples = self._columns.part(0, self.count).samples()
                self._columns = None
        return self._samples


def _as_sample(value: Any) -> Any:
    if isinstance(value, dict):
        return DictSample.from_data(value)
    if isinstance(value, str | bytes | int | float | list | tuple | None):
        raise BatchError(
            f"samples mapped to {type(value).__name__} have no fields to batch; "
            "map to a sample or a dict, or iterate with batch_size=None"
        )
    return value
