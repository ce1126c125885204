"""The shapes that backends and samples have, for annotations and ``isinstance``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from atdata.dataset import Dataset


@runtime_checkable
class Packable(Protocol):
    """What every sample type offers, whether decorated or derived."""

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Make a sample from unpacked values."""
        ...

    @classmethod
    def from_bytes(cls, bs: bytes) -> Self:
        """Unpack a sample from msgpack bytes."""
        ...

    @property
    def packed(self) -> bytes:
        """The sample as msgpack bytes."""
        ...

    @property
    def as_wds(self) -> dict[str, Any]:
        """The sample as ``webdataset`` writes it."""
        ...


@runtime_checkable
class DataSource(Protocol):
    """Where shards are read from: a cheap, picklable value that does no I/O when it is made."""

    def list_shards(self) -> list[str]:
        """Return the identifiers of all shards, in order, without opening any."""
        ...

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one shard for reading; ``KeyError`` if it is not in the list."""
        ...

    @property
    def shards(self) -> Iterable[tuple[str, IO[bytes]]]:
        """Pairs of identifier and open stream, opened one after the other."""
        ...


@runtime_checkable
class AbstractDataStore(Protocol):
    """Where shards are written to."""

    def write_shards(
        self, ds: Dataset[Any], *, prefix: str, maxcount: int = ..., maxsize: int = ...
    ) -> Sequence[str]:
        """Write a dataset's samples as shards below a prefix, and return their URLs.

        A shard ends at ``maxcount`` samples or when it has reached ``maxsize`` bytes.
        """
        ...

    def read_url(self, url: str) -> str:
        """Turn a stored URL into one that can be opened without the store."""
        ...

    def supports_streaming(self) -> bool:
        """Whether a shard can be read while it is fetched."""
        ...


@runtime_checkable
class IndexEntry(Protocol):
    """A dataset as an index knows it."""

    @property
    def name(self) -> str:
        """The dataset's name."""
        ...

    @property
    def schema_ref(self) -> str:
        """The reference of its schema."""
        ...

    @property
    def data_urls(self) -> list[str]:
        """The URLs of its shards; brace patterns are allowed."""
        ...

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Whatever was stored beside it."""
        ...


@runtime_checkable
class AbstractIndex(Protocol):
    """A registry of schemas and datasets, local or on the network."""

    @property
    def data_store(self) -> AbstractDataStore | None:
        """The store that shards are written to, if there is one."""
        ...

    @property
    def datasets(self) -> Iterator[IndexEntry]:
        """All datasets, fetched as they are iterated."""
        ...

    @property
    def schemas(self) -> Iterator[Any]:
        """All schema records, fetched as they are iterated."""
        ...

    def insert_dataset(
        self, ds: Dataset[Any], *, name: str, schema_ref: str | None = None, **kwargs: Any
    ) -> IndexEntry:
        """Register a dataset under a name, storing its data if the index has a store."""
        ...

    def get_dataset(self, ref: str) -> IndexEntry:
        """Return the dataset of that name or reference; ``KeyError`` if there is none."""
        ...

    # Not a list: one of a certain class of entries is no list of all of them.
    def list_datasets(self) -> Sequence[IndexEntry]:
        """Return all datasets."""
        ...

    def publish_schema(
        self,
        sample_type: type,
        *,
        version: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store the schema of a sample type and return its reference."""
        ...

    def get_schema(self, ref: str) -> Mapping[str, Any]:
        """Return a schema record; ``KeyError`` if there is none."""
        ...

    def list_schemas(self) -> list[dict[str, Any]]:
        """Return all schema records."""
        ...

    def decode_schema(self, ref: str) -> type[Any]:
        """Make a sample type of a stored schema; ``ValueError`` if it cannot be decoded."""
        ...
