"""Putting samples together into batches: as columns where they have a form, else as objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from atdata.dataset.batch import SampleBatch
from atdata.errors import BatchError
from atdata.samples import DictSample
from atdata.shards import Columns, Rows


def batch_rows(
    rows: Iterable[Rows], size: int, sample_type: type[Any]
) -> Iterator[SampleBatch[Any]]:
    """Cut rows into batches, the last one shorter; each field is copied once, into its batch."""
    batch = _Batch(size)
    for part in rows:
        at = 0
        while at < len(part):
            at = batch.add(part, at)
            if batch.is_full:
                yield SampleBatch(batch.take(), sample_type=sample_type)
    if batch.count:
        yield SampleBatch(batch.take(), sample_type=sample_type)


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
            taken = self._columns if self.is_full else self._columns.head(self.count)
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
                self._samples = self._columns.head(self.count).samples()
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
