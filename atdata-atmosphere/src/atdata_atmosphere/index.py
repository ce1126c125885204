"""``AtmosphereIndex``: repositories of the AT Protocol network as an index of datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from atdata.dataset import Dataset
from atdata.dataset.braces import expand_all
from atdata.errors import FieldError, InvalidNameError, SampleTypeError
from atdata.index.names import check_dataset_name, looked_up
from atdata.index.references import Kind, Reference
from atdata.samples import Schema
from atdata.trust import check_allowed, is_allowed
from atdata_atmosphere.blobs import PDSBlobStore
from atdata_atmosphere.datasets import urls_of
from atdata_atmosphere.entry import AtmosphereIndexEntry
from atdata_atmosphere.listing import iterate_records
from atdata_atmosphere.lookup import find_dataset, find_schema
from atdata_atmosphere.publishing import publish_in_blobs
from atdata_atmosphere.records.collections import DATASET, expect_kind
from atdata_atmosphere.records.datasets import Description, check_described, dataset_to_record
from atdata_atmosphere.records.schemas import record_to_schema
from atdata_atmosphere.records.storage import external_storage
from atdata_atmosphere.schemas import publish_version
from atdata_atmosphere.sources import NetworkSource, expectations
from atdata_atmosphere.trust import check_publishable

if TYPE_CHECKING:
    from atdata.protocols import AbstractDataStore
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.repository import RepoRecord
    from atdata_atmosphere.uri import AtUri


class AtmosphereIndex:
    """Datasets and schemas in repositories of the AT Protocol network.

    Anybody's are read, by AT URI or as ``@handle/name``; plain names, and what is published, are
    those of the account that the client is logged in to. With a ``PDSBlobStore`` shards are
    published as well, without one datasets are published where they lie.

    URLs that records name are opened if they are public: ``https:``, ``s3:`` without anybody's
    keys, and blobs. ``allow`` lists starts of others that may be opened, and published.
    Threads may share an index as they may share its client.
    """

    def __init__(
        self,
        client: AtmosphereClient,
        *,
        data_store: AbstractDataStore | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._data_store = data_store
        self._allow = check_allowed(allow)

    @property
    def client(self) -> AtmosphereClient:
        """The client that everything is asked through."""
        return self._client

    @property
    def data_store(self) -> AbstractDataStore | None:
        """The store that shards are published to, None if there is none."""
        return self._data_store

    def insert_dataset(  # noqa: PLR0913 -- documented so
        self,
        ds: Dataset[Any] | Mapping[str, Dataset[Any]],
        *,
        name: str,
        schema_ref: str | AtUri | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        license: str | None = None,  # noqa: A002 -- documented so
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AtmosphereIndexEntry:
        """Publish a dataset under a name; with a data store its samples are published as well.

        Without ``schema_ref`` the schema is published, or found published already. Splits need a
        data store. Further options are those of its ``write_shards``. An upload that was cut short
        goes on where it stopped when the same dataset is inserted again.

        Raises:
            InvalidNameError: the name cannot be referred to.
            UntrustedInputError: the shards are not at public addresses.
            AuthenticationError: nobody is logged in.
        """
        check_dataset_name(name)
        splits = ds if isinstance(ds, Mapping) else {"": ds}
        said = Description(
            description, tags, license, _first(splits).metadata if metadata is None else metadata
        )
        schema = Schema.from_type(_first(splits).sample_type)
        # What is wrong with these must not come out after the upload.
        check_described(name, said)
        if self._data_store is None:
            storage = self._where_it_lies(ds)
            uri = self._create(name, self._schema_uri(schema, schema_ref), storage, said)
            return self._entry(uri)
        ref = self._schema_uri(schema, schema_ref)
        store = self._data_store
        if isinstance(store, PDSBlobStore):
            return self._entry(publish_in_blobs(store, name, ref, splits, said, options))
        urls = _write(store, splits, {"prefix": name, **options})
        check_publishable(urls, self._allow)
        return self._entry(self._create(name, ref, external_storage(urls), said))

    def get_dataset(self, ref: str | AtUri) -> AtmosphereIndexEntry:
        """Return a dataset by AT URI, ``@handle/name``, ``atdata://...``, or one's own by name.

        ``@version`` behind a name is a publisher's label, a record key, or counts what was
        published under the name from 1. ``ValueError`` if the record is no dataset.
        """
        found = self._find(str(ref), "dataset")
        expect_kind(found.value, "dataset", found.uri)
        return AtmosphereIndexEntry(found.uri, found.value)

    @property
    def datasets(self) -> Iterator[AtmosphereIndexEntry]:
        """The datasets of the client's own repository, fetched as they are iterated."""
        return self.iterate_datasets()

    def iterate_datasets(self, repo: str | None = None) -> Iterator[AtmosphereIndexEntry]:
        """Yield the datasets of a repository, by DID or handle, fetched in pages."""
        for found in iterate_records(self._client, "dataset", repo):
            yield AtmosphereIndexEntry(found.uri, found.value)

    def list_datasets(self, repo: str | None = None) -> list[AtmosphereIndexEntry]:
        """Return all datasets of a repository, by DID or handle, by default the client's own."""
        return list(self.iterate_datasets(repo))

    def publish_schema(
        self,
        sample_type: type,
        *,
        version: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Publish the schema of a sample type and return its AT URI.

        A version that is published with the same fields is returned as it is. Without a version
        that is the newest with these fields, or the next patch version, from 1.0.0 on.

        Raises:
            ConflictError: the version is published with other fields, which it names.
            SampleTypeError: the class is no sample type, or has a field without a form here.
        """
        schema = Schema.from_type(sample_type)
        return publish_version(
            self._client, schema, version, description=description, metadata=metadata
        )

    def get_schema(self, ref: str | AtUri) -> dict[str, Any]:
        """Return a schema record with its AT URI as ``$ref``; ``ValueError`` if it is none."""
        found = self._find(str(ref), "schema")
        return {**expect_kind(found.value, "schema", found.uri), "$ref": str(found.uri)}

    @property
    def schemas(self) -> Iterator[dict[str, Any]]:
        """The schema records of the client's own repository, fetched as they are iterated."""
        return self.iterate_schemas()

    def iterate_schemas(self, repo: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the schema records of a repository, each with its AT URI as ``$ref``."""
        for found in iterate_records(self._client, "schema", repo):
            yield {**found.value, "$ref": str(found.uri)}

    def list_schemas(self, repo: str | None = None) -> list[dict[str, Any]]:
        """Return all schema records of a repository, each with its AT URI as ``$ref``."""
        return list(self.iterate_schemas(repo))

    def decode_schema(self, ref: str | AtUri) -> type[Any]:
        """Make a sample class of a published schema; the same class each time.

        Equally named schemas of two publishers are two classes.
        """
        found = self._find(str(ref), "schema")
        return record_to_schema(found.value, found.uri).to_type(str(found.uri))

    def create_source(self, urls: Sequence[str], *, allow: Sequence[str] = ()) -> NetworkSource:
        """Make a data source of URLs that records name; ``UntrustedInputError`` if one may not.

        ``allow`` adds to what the index allows.
        """
        return NetworkSource(urls, network=self._client.network, allow=(*self._allow, *allow))

    def create_entry_source(
        self, entry: AtmosphereIndexEntry, urls: Sequence[str], *, allow: Sequence[str] = ()
    ) -> NetworkSource:
        """Make a data source of some of an entry's shards, checked with what its record says."""
        expected = expectations(entry.parsed, entry.publisher)
        allowed = (*self._allow, *allow)
        return NetworkSource(urls, network=self._client.network, allow=allowed, expected=expected)

    def is_foreign(self, entry: AtmosphereIndexEntry) -> bool:
        """Tell whether a copy of an entry's URLs is marked as foreign: not if all are allowed."""
        return not all(is_allowed(url, self._allow) for url in expand_all(entry.data_urls))

    @looked_up
    def _find(self, ref: str, kind: Kind) -> RepoRecord:
        if ref.startswith("at://"):
            return self._client.read_record(ref)
        reference = Reference.parse(ref, kind)
        repo = self._client.did if "@" not in ref[:1] and "://" not in ref else reference.authority
        if repo == "local":
            raise InvalidNameError(
                f"{ref!r:.200} is in a local index; publish it with promote()", ref=ref
            )
        find = find_schema if kind == "schema" else find_dataset
        return find(self._client, repo, reference.name, reference.version)

    def _entry(self, uri: AtUri) -> AtmosphereIndexEntry:
        return AtmosphereIndexEntry(uri, self._client.get_record(uri))

    def _create(
        self, name: str, schema_uri: str, storage: Mapping[str, Any], said: Description
    ) -> AtUri:
        record = dataset_to_record(name, schema_uri, storage, said)
        return self._client.create_record(DATASET, record)

    def _where_it_lies(self, ds: Any) -> dict[str, Any]:
        if not isinstance(ds, Dataset):
            raise FieldError(
                "splits can be published only with their samples; "
                "use AtmosphereIndex(client, data_store=PDSBlobStore(client))",
                field="splits",
            )
        if ds.stages:
            raise SampleTypeError(
                f"the shards of {ds!r} hold other samples than it yields; "
                "AtmosphereIndex(client, data_store=PDSBlobStore(client)) publishes those",
            )
        urls = urls_of(ds)
        check_publishable(urls, self._allow)
        return external_storage(urls)

    def _schema_uri(self, schema: Schema, ref: str | AtUri | None) -> str:
        return publish_version(self._client, schema) if ref is None else str(ref)

    def __repr__(self) -> str:
        return f"AtmosphereIndex({self._client!r}, data_store={self._data_store!r})"


def _first(splits: Mapping[str, Dataset[Any]]) -> Dataset[Any]:
    for ds in splits.values():
        return ds
    raise FieldError("there are no splits to publish", field="splits")


def _write(
    store: AbstractDataStore, splits: Mapping[str, Dataset[Any]], options: dict[str, Any]
) -> list[str]:
    """Write splits to a store that is none of blobs, and return the URLs they are read at."""
    prefix = options.pop("prefix")
    return [
        store.read_url(url)
        for split, ds in splits.items()
        for url in store.write_shards(
            ds, prefix=f"{prefix}/{split}" if split else prefix, **options
        )
    ]
