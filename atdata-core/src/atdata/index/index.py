"""``Index``: datasets and schemas by name, over any record store, with shards in any data store."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from atdata import plugins
from atdata.dataset import Dataset
from atdata.dataset.braces import as_patterns
from atdata.errors import NotFoundError, SampleTypeError
from atdata.index.datasets import DatasetRegistry
from atdata.index.entry import LocalDatasetEntry
from atdata.index.leftovers import SILENCE, Leftovers, delete_leftovers, find_leftovers
from atdata.index.metadata import to_json_object
from atdata.index.names import check_dataset_name, looked_up, to_path
from atdata.index.namespace import TypeNamespace
from atdata.index.opening import (
    check_forgotten,
    check_store,
    open_provider,
    own_store,
    scratch_store,
)
from atdata.index.pending import PendingWrite
from atdata.index.references import LOCAL, Reference, check_schema_ref
from atdata.index.rules import Rules
from atdata.index.schemas import LocalSchemaRecord, SchemaRegistry
from atdata.index.writing import Written, discard, write_elsewhere, write_splits
from atdata.stores import Cut, DataStore

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider, Op
    from atdata.index.stubs import StubFolder
    from atdata.index.writing import Samples
    from atdata.protocols import AbstractDataStore, AbstractIndex, IndexEntry

T = TypeVar("T")


class Index:
    """A registry of datasets and their schemas.

    Without arguments a scratch index that goes with the process. ``path=`` keeps it in an SQLite
    file, ``dsn=`` in PostgreSQL, ``redis=`` (a client, also as first argument), ``url=`` or
    ``host=``/``port=``/``db=`` in Redis; ``provider=`` names any other installed provider, or is
    one. Several threads and processes may use the same database at once.

    Shards are written to ``data_store``. Without one they go to a folder ``data`` beside the file,
    to ``~/.atdata/data`` where the index is on a server, and those of a scratch index to a
    temporary folder that is removed at exit.

    What an index names is opened by rules, as others may have written it: see the page "What is
    trusted, and what is checked". ``allow`` lists starts of URLs that are opened whoever named
    them, each ending in ``/``.
    """

    def __init__(  # noqa: PLR0913 -- documented so
        self,
        redis: Any = None,
        data_store: AbstractDataStore | None = None,
        auto_stubs: bool = False,  # noqa: FBT001, FBT002 -- documented so
        stub_dir: str | os.PathLike[str] | None = None,
        *,
        provider: str | IndexProvider | None = None,
        path: str | os.PathLike[str] | None = None,
        allow: Sequence[str] = (),
        **options: Any,
    ) -> None:
        given = {"redis": redis, "path": path, **options}
        given = {name: value for name, value in given.items() if value is not None}
        if provider is None and not given:
            check_forgotten(options)
        self._provider = open_provider(provider, given)
        self._datasets = DatasetRegistry(self._provider)
        self._schemas = SchemaRegistry(self._provider)
        self._data_store = check_store(data_store)
        self._own_store = own_store(provider, given) if data_store is None else None
        self._rules = Rules(self._provider, self._data_store, self._own_store, allow)
        self._stubs: StubFolder | None = None
        if auto_stubs:
            from atdata.index.stubs import StubFolder

            self._stubs = StubFolder(stub_dir)
        self.types = TypeNamespace()

    @property
    def provider(self) -> IndexProvider:
        """The record store underneath."""
        return self._provider

    @property
    def data_store(self) -> AbstractDataStore | None:
        """The store given for shards, None if there is none."""
        return self._data_store

    def write(
        self,
        samples: Samples,
        *,
        name: str,
        schema_ref: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        prefix: str | None = None,
        **options: Any,
    ) -> LocalDatasetEntry:
        """Write samples as shards and register them under a name, with their schema.

        Samples are streamed from any iterable, or from one per split in a mapping, all of one type.
        ``maxcount`` and ``maxsize`` say when a new shard begins; a store that is not atdata's may
        take further options. Nothing is registered, and no shard stays, unless everything was
        written. Without ``schema_ref`` the schema of the samples is published, or found published
        already. Writing a name again makes its next revision.

        Raises:
            EmptyDatasetError: there are no samples.
            FieldError: a sample does not fit its type, or the first one's; or the metadata is not
                JSON.
            StorageError: the shards cannot be stored.
        """
        # What is wrong with these must not come out after hours of writing.
        check_dataset_name(name)
        check_schema_ref(schema_ref)
        metadata = to_json_object(metadata, name)
        store, prefix = self._store(), (prefix or "").rstrip("/") or to_path(name)
        if not isinstance(store, DataStore):
            written = write_elsewhere(store, samples, prefix, options)
            return self._register(written, name, schema_ref, metadata)
        cut = Cut(**options)
        with PendingWrite(self._provider, store, prefix) as pending:
            written = write_splits(store, samples, prefix, cut, pending)
            try:
                return self._register(written, name, schema_ref, metadata, pending.end())
            except BaseException:
                # Whatever failed may have done so after the commit.
                if pending.withdraw():
                    discard(store, written)
                raise

    def _register(
        self,
        written: Written,
        name: str,
        schema_ref: str | None,
        metadata: Mapping[str, Any] | None,
        also: Sequence[Op] = (),
    ) -> LocalDatasetEntry:
        ref = schema_ref or self._schemas.ensure(written.sample_type).ref
        return self._datasets.add(written.to_entry(name, ref, metadata), also)

    def insert_dataset(
        self,
        ds: Dataset[Any] | Mapping[str, Dataset[Any]],
        *,
        name: str,
        schema_ref: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cache_local: bool = False,  # noqa: ARG002 -- documented; shards are always spooled locally
        **options: Any,
    ) -> LocalDatasetEntry:
        """Register a dataset; with a data store its samples are written there first.

        A ``DatasetDict`` keeps its splits, and needs a data store. Further options are those of
        ``write``; without a data store there is nothing for them to do.
        """
        if isinstance(ds, Dataset):
            metadata = ds.metadata if metadata is None else metadata
            if self._data_store is None:
                return self.add_entry(ds, name=name, schema_ref=schema_ref, metadata=metadata)
        elif self._data_store is None:
            kind = type(ds).__name__
            raise TypeError(f"a {kind} can be kept only where it is written; use index.write()")
        return self.write(ds, name=name, schema_ref=schema_ref, metadata=metadata, **options)

    def add_entry(
        self,
        ds: Dataset[Any],
        *,
        name: str,
        schema_ref: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        foreign: bool = False,
    ) -> LocalDatasetEntry:
        """Register a dataset where it lies; its pattern or URLs are kept as they are.

        With ``foreign`` they came from a stranger, and are opened as those of a network record are.

        Raises:
            SampleTypeError: it is a view, filtered or otherwise not what its shards hold.
            UntrustedInputError: a URL is not one that this index may name, so that nobody could
                read the dataset by its name.
            InvalidNameError: a URL has a password, key or signature in it.
        """
        check_dataset_name(name)
        check_schema_ref(schema_ref)
        if ds.stages:
            raise SampleTypeError(
                f"the shards of {ds!r} hold other samples than it yields; "
                "index.write() stores those",
                name=name,
            )
        urls = as_patterns(ds.url, ds.list_shards())
        self._rules.check(urls, foreign=foreign)
        metadata = to_json_object(ds.metadata if metadata is None else metadata, name)
        ref = schema_ref or self._schemas.ensure(ds.sample_type).ref
        return self._datasets.add(LocalDatasetEntry(name, ref, urls, metadata, foreign=foreign))

    @looked_up
    def get_dataset(self, ref: str) -> LocalDatasetEntry:
        """Return the newest revision of a dataset, or that of ``name@revision``.

        ``atdata://local/dataset/name`` and ``@local/name`` are the same as ``name``.

        Raises:
            NotFoundError: there is no such dataset, or nothing can have that name.
            CorruptDataError: its record, whose key it names, cannot be read.
        """
        reference = Reference.parse(ref, "dataset")
        revision = reference.version
        if reference.authority != LOCAL or (revision is not None and not revision.isdecimal()):
            message = f"no dataset {ref!r:.300} in this index; its names are local"
            raise NotFoundError(message, ref=ref)
        return self._datasets.get(reference.name, None if revision is None else int(revision))

    def get_entry(self, cid: str) -> LocalDatasetEntry:
        """Return an entry by its CID."""
        return self._datasets.get_by_cid(cid)

    def get_entry_by_name(self, name: str) -> LocalDatasetEntry:
        """Return the newest revision of a name."""
        return self._datasets.get(name)

    def history(self, name: str) -> list[LocalDatasetEntry]:
        """Return all revisions of a dataset, newest first."""
        return self._datasets.history(name)

    def find_leftovers(self, *, older_than: dt.timedelta = SILENCE) -> Leftovers:
        """List what killed writers left in the index's store; see ``delete_leftovers``."""
        return find_leftovers(self._provider, self._store(), older_than)

    def delete_leftovers(self, *, older_than: dt.timedelta = SILENCE) -> Leftovers:
        """Remove what killed writers left in the index's store, and return what that was.

        Others may write meanwhile. Only what was begun through this index is looked at, and no
        shard that a dataset names is touched. Whether a writer on this machine still runs is known
        at once; one elsewhere is given up after a silence of ``older_than``, an hour at least, and
        its ``write`` then raises ``ConflictError``.
        """
        return delete_leftovers(self._provider, self._store(), older_than)

    def delete(self, name: str) -> None:
        """Forget a dataset with all its revisions; its shards stay where they are.

        Others may read them by their URLs, so they are no leftovers either.
        """
        self._datasets.delete(name)

    def copy_to(
        self, other: Index, name: str, *, shards: bool = False, history: bool = False
    ) -> LocalDatasetEntry:
        """Copy a dataset to another index; the same as ``other.copy_from(self, name, ...)``."""
        return other.copy_from(self, name, shards=shards, history=history)

    def copy_from(
        self, source: AbstractIndex, name: str, *, shards: bool = False, history: bool = False
    ) -> LocalDatasetEntry:
        """Copy a dataset of any index here with its schema, and return it as it is here.

        That is the newest revision, that of ``name@revision``, or with ``history`` all of them,
        oldest first. Metadata, splits, counts, digests and the time of writing are kept. What is
        here already is left as it is; otherwise a revision becomes the next one of its name. The
        schema keeps its version, unless that has other fields here.

        The shards stay where they are, unless ``shards`` copies them into this index's store,
        comparing their digests. A copy that was killed is taken up by the next one.

        Raises:
            NotFoundError: the source has no such dataset.
            CorruptDataError: a shard, which it names, is not the one that was written.
            StorageError: a shard cannot be read or stored.
        """
        from atdata.index.copying import Recipient

        store = self._store() if shards else None
        recipient = Recipient(self._provider, self._datasets, self._schemas, store, self._rules)
        if not history:
            return recipient.add(source.get_dataset(name), source)
        if not isinstance(source, Index):
            raise TypeError(f"a {type(source).__name__} keeps no history; copy without it")
        copies = [recipient.add(entry, source) for entry in reversed(source.history(name))]
        return copies[-1]

    def promote(self, name: str, /, client: Any, **options: Any) -> str:
        """Publish a dataset through an ``AtmosphereClient`` and return its AT URI.

        Options are those of ``atdata.promote.promote_to_atmosphere``, such as ``data_store``.
        ``PluginNotFoundError`` without ``atdata-atmosphere``.
        """
        plugin = plugins.official_module("atdata-atmosphere")
        return str(plugin.promote_to_atmosphere(self.get_dataset(name), self, client, **options))

    @property
    def datasets(self) -> Iterator[LocalDatasetEntry]:
        """The newest revision of every dataset, by name, fetched as it is iterated."""
        return self._datasets.iterate()

    @property
    def entries(self) -> Iterator[LocalDatasetEntry]:
        """The same as ``datasets``."""
        return self._datasets.iterate()

    @property
    def all_entries(self) -> list[LocalDatasetEntry]:
        """The same as ``list_datasets()``."""
        return self.list_datasets()

    def list_datasets(self) -> list[LocalDatasetEntry]:
        """Return the newest revision of every dataset, by name."""
        return list(self._datasets.iterate())

    def list_entries(self) -> list[LocalDatasetEntry]:
        """Return the same as ``list_datasets``."""
        return self.list_datasets()

    def publish_schema(
        self,
        sample_type: type,
        *,
        version: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store the schema of a sample type and return its reference.

        Without a version the patch of the latest is bumped, from 1.0.0 on. A version that exists
        is left as it is if the fields are the same.

        Raises:
            ConflictError: the version exists with other fields, which it names.
            SampleTypeError: the class is no sample type.
        """
        return self._schemas.publish(sample_type, version, description, metadata).ref

    def get_schema(self, ref: str) -> dict[str, Any]:
        """Return a schema record with its reference as ``$ref``; without version, the highest."""
        return self._schemas.get(ref).to_dict()

    def get_schema_record(self, ref: str) -> LocalSchemaRecord:
        """Return a schema record as an object."""
        return self._schemas.get(ref)

    @property
    def schemas(self) -> Iterator[LocalSchemaRecord]:
        """All schema records, fetched as they are iterated."""
        return self._schemas.iterate()

    def list_schemas(self) -> list[dict[str, Any]]:
        """Return all schema records, each with its reference as ``$ref``."""
        return [record.to_dict() for record in self._schemas.iterate()]

    def decode_schema(self, ref: str) -> type[Any]:
        """Make a sample class of a stored schema; the same class each time.

        With ``auto_stubs`` a module for editors is written beside.

        Raises:
            NotFoundError: there is no such schema.
            SchemaError: it has fields that are not supported.
        """
        record = self._schemas.get(ref)
        if self._stubs is not None:
            self._stubs.write(record)
        return record.to_type()

    def decode_schema_as(self, ref: str, type_hint: type[T]) -> type[T]:  # noqa: ARG002
        """Decode a schema, to be seen by type checkers as ``type_hint``."""
        return cast("type[T]", self.decode_schema(ref))

    def load_schema(self, ref: str) -> type[Any]:
        """Decode a schema and keep the class as ``index.types.{its name}``."""
        sample_type = self.decode_schema(ref)
        self.types.add(sample_type)
        return sample_type

    def get_import_path(self, ref: str) -> str | None:
        """Return the module that holds a schema's class, None without ``auto_stubs``."""
        return None if self._stubs is None else self._stubs.import_path(self._schemas.get(ref))

    def clear_stubs(self) -> int:
        """Remove the generated modules and return how many there were."""
        return 0 if self._stubs is None else self._stubs.clear()

    @property
    def stub_dir(self) -> Path | None:
        """The folder of generated modules, None without ``auto_stubs``."""
        return None if self._stubs is None else self._stubs.folder

    def create_source(self, urls: Sequence[str], *, allow: Sequence[str] = ()) -> Any:
        """Make a data source of shard URLs that this index names, with the access of its store.

        ``allow`` adds to what the index allows. ``UntrustedInputError`` if it may not name one.
        """
        return self._rules.create_source(urls, self._rules.policy(foreign=False, allow=allow))

    def create_entry_source(
        self, entry: IndexEntry, urls: Sequence[str], *, allow: Sequence[str] = ()
    ) -> Any:
        """Make a data source of some of an entry's shards, as strictly as its origin asks for."""
        if not getattr(entry, "foreign", False):
            # Subclasses that know nothing of it may say how URLs are opened.
            return self.create_source(urls, allow=allow) if allow else self.create_source(urls)
        return self._rules.create_source(urls, self._rules.policy(foreign=True, allow=allow))

    def is_foreign(self, entry: IndexEntry) -> bool:
        """Tell whether a copy of an entry's URLs is marked as foreign, and thus opened by rules."""
        return self._rules.is_foreign(entry)

    def close(self) -> None:
        """Release the record store; closing twice is fine."""
        self._provider.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({self._provider!r}, data_store={self._data_store!r})"

    def _store(self) -> AbstractDataStore:
        if self._data_store is not None:
            return self._data_store
        if self._own_store is None:
            self._own_store = scratch_store()
        return self._own_store
