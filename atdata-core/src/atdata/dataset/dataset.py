"""``Dataset``: an immutable value made of a source of shards and the stages its samples pass."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, cast, overload

from atdata.dataset.batch import SampleBatch, TypedAlias
from atdata.dataset.braces import join_urls
from atdata.dataset.metadata import fetch_metadata
from atdata.dataset.pipeline import DataPipeline, make_pipeline
from atdata.dataset.readers import Rank, check_rank
from atdata.dataset.registered import Registered
from atdata.dataset.shuffling import Shuffle
from atdata.dataset.source import Where, as_source, shard_ids
from atdata.dataset.stages import (
    Filter,
    Map,
    Select,
    Stage,
    Take,
    View,
    count_after,
    returned_type,
)
from atdata.dataset.stream import SampleStream
from atdata.errors import FieldError, MissingMsgpackError, SampleTypeError
from atdata.lens import LensNetwork
from atdata.samples import DictSample, PackableSample, Schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from typing_extensions import TypeVar

    ST = TypeVar("ST", default=DictSample)
    RT = TypeVar("RT")
else:
    from typing import TypeVar

    ST = TypeVar("ST")
    RT = TypeVar("RT")


@dataclass(frozen=True)
class _Plan:
    """Everything a dataset is; derived datasets differ in what they say anew."""

    source: Any
    root_type: type[Any]
    stages: tuple[Stage, ...] = ()
    metadata_url: str | None = None
    metadata: Mapping[str, Any] | None = None
    registered: Registered | None = None


class Dataset(Generic[ST]):
    """Typed samples in tar shards: ``Dataset[T]("data-{000..009}.tar")``.

    Made from a URL or path with or without brace pattern, a list of them, or a ``DataSource``.
    Without a type, samples are ``DictSample``. A dataset never changes: every method returns a new
    one, and stages apply in the order they were added, batched or not. It reads nothing until it is
    iterated, pickles, and may be shared between threads and processes.
    """

    __slots__ = ("_fetched", "_plan")

    if not TYPE_CHECKING:

        def __class_getitem__(cls, sample_type: Any) -> TypedAlias:
            return TypedAlias(cls, (sample_type,))

    def __init__(
        self,
        source: Where | None = None,
        metadata_url: str | None = None,
        *,
        url: str | None = None,
        sample_type: type[ST] | None = None,
    ) -> None:
        if (source is None) == (url is None):
            raise TypeError("a dataset is made from either a source or a url")
        if isinstance(metadata_url, type):
            name = metadata_url.__name__
            raise TypeError(f"the type of a dataset stands in brackets: Dataset[{name}](...)")
        root_type: type[Any] = DictSample if sample_type is None else sample_type
        if not isinstance(root_type, type):
            raise SampleTypeError(
                f"{root_type!r:.80} is not a sample type; give the class, "
                "as in Dataset[MySample](...) or, in generic code, as sample_type="
            )
        if not issubclass(root_type, PackableSample | DictSample):
            Schema.from_type(root_type)
        where = as_source(source if url is None else url)
        self._plan = _Plan(where, root_type, metadata_url=metadata_url)
        self._fetched: dict[str, Any] | None = None

    @property
    def source(self) -> Any:
        """The data source the shards are read from."""
        return self._plan.source

    @property
    def sample_type(self) -> type[ST]:
        """The type of the samples iteration yields."""
        types = [stage.sample_type for stage in self._plan.stages if stage.sample_type is not None]
        return cast("type[ST]", types[-1] if types else self._plan.root_type)

    @property
    def batch_type(self) -> Any:
        """``SampleBatch`` of the sample type."""
        return SampleBatch[self.sample_type]  # type: ignore[name-defined]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What happens to the samples of the shards, in order; empty if nothing does."""
        return self._plan.stages

    @property
    def url(self) -> str:
        """All shards as one brace pattern."""
        own = getattr(self.source, "url", None)
        return own if isinstance(own, str) else join_urls(self.shard_list)

    @property
    def shard_list(self) -> list[str]:
        """The shards' URLs or identifiers, in order."""
        return self.list_shards()

    @property
    def shards(self) -> Iterator[str]:
        """The shards' URLs or identifiers, one by one."""
        return iter(self.list_shards())

    def list_shards(self) -> list[str]:
        """Return the shards' URLs or identifiers, in order."""
        return shard_ids(self.source)

    @property
    def metadata_url(self) -> str | None:
        """Where the metadata is fetched from, if anywhere."""
        return self._plan.metadata_url

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What an index holds, or ``metadata_url`` leads to (a msgpack map, fetched once)."""
        if self._plan.metadata is not None:
            return dict(self._plan.metadata)
        if self._plan.metadata_url is None:
            return None
        if self._fetched is None:
            self._fetched = fetch_metadata(self._plan.metadata_url)
        return dict(self._fetched)

    @property
    def schema(self) -> Schema:
        """The schema of the sample type; that of ``DictSample`` has no fields."""
        return Schema.from_type(self.sample_type)

    @property
    def column_names(self) -> list[str]:
        """The field names; for untyped samples those of the first one, which is read for it."""
        if self.sample_type is not DictSample:
            return self.schema.names
        first: list[Any] = self.head(1)
        return list(first[0].keys()) if first else []

    def as_type(self, other: type[RT]) -> Dataset[RT]:
        """View the samples as another type, through the lens between the two.

        Raises:
            LensNotFoundError: no lens leads there.
            AmbiguousLensError: several equally short chains of lenses do.
        """
        if self.sample_type is other:
            return cast("Dataset[RT]", self)
        found = LensNetwork().transform(self.sample_type, other)
        return self._with(View(cast("Any", found)))

    def filter(self, predicate: Callable[[ST], object]) -> Dataset[ST]:
        """Keep the samples of which the predicate is true."""
        return self._with(Filter(predicate))

    def map(self, function: Callable[[ST], RT], sample_type: type[RT] | None = None) -> Dataset[RT]:
        """Replace each sample by the function's result.

        The new sample type is the one given, else the function's return annotation if that is a
        sample type, else it is taken to be the same. Results that are dicts batch as
        ``DictSample``; where the type is that too, they can be viewed as any typed class.
        """
        return self._with(Map(function, sample_type or returned_type(function)))

    def take(self, count: int) -> Dataset[ST]:
        """Keep the first samples; shuffling comes after it."""
        if operator.index(count) < 0:
            raise ValueError(f"cannot take {count} samples; give a number from 0 up")
        return self._with(Take(count))

    def select(self, *names: str) -> Dataset[Any]:
        """Keep some fields, in the order given; ``FieldError`` if there is none of a name."""
        are_names = all(isinstance(name, str) for name in names)
        if not names or not are_names or len(set(names)) < len(names):
            raise FieldError(
                "select takes at least one field name, each once, as in select('image', 'label')",
                fields=list(names),
            )
        if self.sample_type is DictSample:
            return self._with(Select(names, DictSample))
        by_name = {field.name: field for field in self.schema.fields}
        if unknown := [name for name in names if name not in by_name]:
            raise FieldError(
                f"{self.sample_type.__name__} has no field {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(by_name)}",
                fields=unknown,
            )
        part = Schema(self.schema.name, tuple(by_name[name] for name in names))
        return self._with(Select(names, part.to_type("selection")))

    def head(self, n: int = 5) -> list[ST]:
        """Return the first samples as a list."""
        stream: SampleStream = self.take(n)._stream()  # noqa: SLF001 -- its own kind
        return list(stream.samples())

    @overload
    def ordered(
        self, batch_size: None = None, *, rank: int | None = None, ranks: int | None = None
    ) -> DataPipeline[ST]: ...
    @overload
    def ordered(
        self, batch_size: int, *, rank: int | None = None, ranks: int | None = None
    ) -> DataPipeline[SampleBatch[ST]]: ...
    def ordered(
        self, batch_size: int | None = None, *, rank: int | None = None, ranks: int | None = None
    ) -> DataPipeline[Any]:
        """Iterate in order: samples, or batches of that many, the last one shorter.

        The result is a ``webdataset.DataPipeline`` that can be iterated again, extended, and given
        to ``WebLoader`` or torch's ``DataLoader``. Shards are divided between the ranks of a
        training job and the workers of each. ``rank`` of ``ranks`` says which part this process
        reads; otherwise ``torch.distributed`` does, or else ``RANK`` and ``WORLD_SIZE``.
        """
        return make_pipeline(self._stream(batch_size, rank=check_rank(rank, ranks)))

    @overload
    def shuffled(
        self,
        buffer_shards: int = 100,
        buffer_samples: int = 10_000,
        batch_size: None = None,
        *,
        seed: int | None = None,
        epoch: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> DataPipeline[ST]: ...
    @overload
    def shuffled(
        self,
        buffer_shards: int = 100,
        buffer_samples: int = 10_000,
        *,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> DataPipeline[SampleBatch[ST]]: ...
    def shuffled(  # noqa: PLR0913 -- documented so
        self,
        buffer_shards: int = 100,
        buffer_samples: int = 10_000,
        batch_size: int | None = None,
        *,
        seed: int | None = None,
        epoch: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> DataPipeline[Any]:
        """Iterate in random order: shards through one buffer, samples through another.

        With a seed the order is the same for the same seed, epoch and numbers of ranks and workers,
        and different in every epoch; without one it is new each time. Memory is that of
        ``buffer_samples`` packed samples. Otherwise like ``ordered``.
        """
        shuffle = Shuffle(max(1, buffer_shards), max(1, buffer_samples), seed, epoch)
        return make_pipeline(self._stream(batch_size, shuffle, check_rank(rank, ranks)))

    def wrap(self, sample: Mapping[str, Any]) -> ST:
        """Turn a raw webdataset sample, a dict with ``msgpack`` bytes, into a sample as iterated.

        Lenses, maps and selections apply; filters do not.
        """
        samples: Iterator[Any] = iter([self._plan.root_type.from_bytes(_packed_of(sample))])
        for stage in self._plan.stages:
            samples = stage.apply(samples) if stage.one_to_one else samples
        return cast("ST", next(samples))

    def wrap_batch(self, batch: Mapping[str, Any]) -> SampleBatch[ST]:
        """Turn a raw webdataset batch, a dict with a list of ``msgpack`` bytes, into a batch."""
        samples = [self.wrap({"msgpack": packed}) for packed in _packed_of(batch)]
        return SampleBatch(samples, sample_type=self.sample_type)

    def to_arrow(self) -> pa.Table:
        """Read everything into an Arrow table, arrays as nested lists; needs ``pyarrow``."""
        from atdata.dataset.export import to_arrow

        return to_arrow(self)

    def to_pandas(self) -> pd.DataFrame:
        """Read everything into a pandas DataFrame, arrays as they are; needs ``pandas``."""
        from atdata.dataset.export import to_pandas

        return to_pandas(self)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        sample_map: Callable[[ST], Mapping[str, Any]] | None = None,
        maxcount: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Write all samples to a Parquet file in bounded memory; needs ``pyarrow``.

        ``sample_map`` makes a dict of each sample, by default its fields. With ``maxcount`` there
        are several files of at most that many samples, ``{stem}-000000.parquet`` and so on. Further
        arguments go to ``pyarrow.parquet.ParquetWriter``. A file appears whole or not at all.
        """
        from atdata.dataset.export import to_parquet

        to_parquet(self, path, sample_map, maxcount, **kwargs)

    def __iter__(self) -> Iterator[ST]:
        yield from self._stream().samples()

    def __getitem__(self, index: object) -> NoReturn:
        raise TypeError(
            "samples are not read by number; iterate the dataset, or give torch "
            "DataLoader(ds.ordered(batch_size=32), batch_size=None) or the same of ds.shuffled()"
        )

    def __len__(self) -> int:
        """Return the number of samples, where it is known without reading them."""
        count = count_after(self.stages, None if self.registered is None else self.registered.count)
        if count is None:
            # A TypeError, as list() then goes on without a length.
            raise TypeError(
                "the number of samples is not known; an index knows it for what it wrote, and "
                "torch asks for none with DataLoader(ds.ordered(batch_size=32), batch_size=None)"
            )
        return count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        stages = "".join(f".{type(stage).__name__.lower()}" for stage in self._plan.stages)
        return f"Dataset[{self.sample_type.__name__}]({self.source!r}){stages}"

    @property
    def registered(self) -> Registered | None:
        """What the index that the dataset was loaded from knows of its shards."""
        return self._plan.registered

    def with_info(
        self, *, metadata: Mapping[str, Any] | None = None, registered: Registered | None = None
    ) -> Self:
        """Return the dataset with what an index knows of it: metadata, and its shards."""
        plan = self._plan
        metadata = plan.metadata if metadata is None else metadata
        registered = plan.registered if registered is None else registered
        return self._derived(replace(plan, metadata=metadata, registered=registered))

    def _with(self, stage: Stage) -> Dataset[Any]:
        return self._derived(replace(self._plan, stages=(*self._plan.stages, stage)))

    def _derived(self, plan: _Plan) -> Self:
        made = object.__new__(type(self))
        made._plan, made._fetched = plan, self._fetched
        return made

    def _stream(
        self,
        batch_size: int | None = None,
        shuffle: Shuffle | None = None,
        rank: Rank | None = None,
    ) -> SampleStream:
        if batch_size is not None and batch_size < 1:
            raise ValueError(
                f"batches have at least one sample, not {batch_size}; None means no batches"
            )
        plan = self._plan
        return SampleStream(
            plan.source,
            plan.root_type,
            plan.stages,
            self.sample_type,
            batch_size,
            shuffle,
            plan.registered,
            rank,
        )


def _packed_of(raw: Mapping[str, Any]) -> Any:
    if "msgpack" not in raw:
        raise MissingMsgpackError(
            "Malformed sample: 'msgpack' field not found; write samples with sample.as_wds",
            key=raw.get("__key__"),
        )
    return raw["msgpack"]
