"""The ``webdataset`` pipelines that datasets hand out, with the types they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self, TypeVar, cast

T_co = TypeVar("T_co", covariant=True)


class DataPipeline(Protocol[T_co]):
    """A ``webdataset.DataPipeline`` that knows what it yields; it can be iterated again."""

    def __iter__(self) -> Iterator[T_co]: ...

    def compose(self, *stages: Any) -> DataPipeline[Any]:
        """Return the pipeline with further stages."""
        ...

    def with_epoch(self, nsamples: int = -1, nbatches: int = -1) -> Self:
        """Return the pipeline with epochs of that many samples."""
        ...

    def with_length(self, n: int, silent: bool = False) -> Self:  # noqa: FBT001, FBT002
        """Return the pipeline with a length."""
        ...

    def repeat(self, nepochs: int | None = None, nbatches: int | None = None) -> Self:
        """Return the pipeline repeated."""
        ...


def make_pipeline(start: Callable[[], Iterator[Any]]) -> DataPipeline[Any]:
    """Make a pipeline whose first stage is a picklable callable."""
    # 118 ms, and all of torch where that is installed: only who iterates a pipeline pays.
    import webdataset

    return cast("DataPipeline[Any]", webdataset.DataPipeline(start))
