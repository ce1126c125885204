"""Datasets in repositories: published where their shards lie or with them, found and opened."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from atdata.dataset import Dataset, Registered
from atdata.dataset.braces import as_patterns
from atdata.dataset.metadata import MAX_BYTES, read_metadata
from atdata.errors import FieldError, SampleTypeError
from atdata.samples import Schema
from atdata.trust import check_allowed
from atdata_atmosphere.listing import first_values
from atdata_atmosphere.records.blob_refs import TAR
from atdata_atmosphere.records.collections import DATASET, expect_kind
from atdata_atmosphere.records.datasets import (
    DatasetRecord,
    Description,
    check_described,
    dataset_to_record,
    read_dataset,
)
from atdata_atmosphere.records.storage import MAX_URL, blob_storage, external_storage
from atdata_atmosphere.schemas import publish_version
from atdata_atmosphere.sources import Expected, NetworkSource, expectations
from atdata_atmosphere.trust import check_publishable
from atdata_atmosphere.uri import AtUri

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient

T = TypeVar("T")


class DatasetPublisher:
    """Publishes dataset records to the repository of a client's account. They are public.

    ``allow`` lists starts of URLs that may be published although not everybody can open them.
    """

    def __init__(self, client: AtmosphereClient, *, allow: Sequence[str] = ()) -> None:
        self._client = client
        self._allow = check_allowed(allow)

    def publish(  # noqa: PLR0913 -- documented so
        self,
        dataset: Dataset[Any],
        *,
        name: str,
        schema_uri: str | AtUri | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        license: str | None = None,  # noqa: A002 -- documented so
        auto_publish_schema: bool = True,
        schema_version: str = "1.0.0",
        rkey: str | None = None,
    ) -> AtUri:
        """Publish a dataset where its shards lie, and its schema unless that is given or published.

        Raises:
            ConflictError: the schema's version is published with other fields.
            ValueError: there is no schema, or the shards are not at public addresses.
            SampleTypeError: the dataset is a view, filtered or otherwise not what its shards hold.
        """
        if dataset.stages:
            raise SampleTypeError(
                f"the shards of {dataset!r} hold other samples than it yields; "
                "index.write() stores those",
                name=name,
            )
        urls = urls_of(dataset)
        check_publishable(urls, self._allow)
        said = Description(description, tags, license, dataset.metadata)
        check_described(name, said, urls)
        if schema_uri is None:
            if not auto_publish_schema:
                message = f"{name!r} needs schema_uri=, or auto_publish_schema=True"
                raise FieldError(message, field="schemaRef")
            schema = Schema.from_type(dataset.sample_type)
            schema_uri = publish_version(self._client, schema, schema_version)
        return self._create(urls, schema_uri, name, said, rkey)

    def publish_with_urls(  # noqa: PLR0913 -- documented so
        self,
        urls: Sequence[str],
        schema_uri: str | AtUri,
        *,
        name: str,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        license: str | None = None,  # noqa: A002 -- documented so
        metadata: Mapping[str, Any] | None = None,
        rkey: str | None = None,
    ) -> AtUri:
        """Publish shards at public URLs, which may be brace patterns.

        ``ValueError`` if an address is private, or has a password or signature in it.
        """
        check_publishable(urls, self._allow)
        said = Description(description, tags, license, metadata)
        return self._create(urls, schema_uri, name, said, rkey)

    def publish_with_blobs(  # noqa: PLR0913 -- documented so
        self,
        blobs: Sequence[bytes],
        schema_uri: str | AtUri,
        *,
        name: str,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        license: str | None = None,  # noqa: A002 -- documented so
        metadata: Mapping[str, Any] | None = None,
        mime_type: str = TAR,
        rkey: str | None = None,
    ) -> AtUri:
        """Upload whole shards as blobs and publish a record that refers to them.

        ``LimitExceededError`` if the server takes none that large; ``PDSBlobStore`` writes shards
        that it does take.
        """
        said = Description(description, tags, license, metadata)
        # What is wrong with these must not come out after the upload.
        check_described(name, said)
        refs = [self._client.upload_blob(blob, mime_type) for blob in blobs]
        record = dataset_to_record(name, str(schema_uri), blob_storage(refs), said)
        return self._client.create_record(DATASET, record, rkey=rkey)

    def _create(
        self,
        urls: Sequence[str],
        schema_uri: str | AtUri,
        name: str,
        said: Description,
        rkey: str | None,
    ) -> AtUri:
        record = dataset_to_record(name, str(schema_uri), external_storage(urls), said)
        return self._client.create_record(DATASET, record, rkey=rkey)


def urls_of(dataset: Dataset[Any]) -> list[str]:
    """Return what a dataset is read from: one pattern, unless that is too long for a record."""
    urls = as_patterns(dataset.url, dataset.list_shards())
    return urls if all(len(url.encode()) <= MAX_URL for url in urls) else dataset.list_shards()


class DatasetLoader:
    """Finds dataset records, of any generation and in anybody's repository.

    ``allow`` lists starts of URLs that may be opened although a record of the network names them.
    """

    def __init__(self, client: AtmosphereClient, *, allow: Sequence[str] = ()) -> None:
        self._client = client
        self._allow = check_allowed(allow)

    def get(self, uri: str | AtUri) -> dict[str, Any]:
        """Return a dataset record; ``ValueError`` if the record is none."""
        return expect_kind(self._client.get_record(uri), "dataset", uri)

    def list_all(self, repo: str | None = None, limit: int = 100) -> builtins.list[dict[str, Any]]:
        """Return up to ``limit`` dataset records of a repository, by default the client's own."""
        return first_values(self._client, "dataset", repo, limit)

    def list(self, repo: str | None = None, limit: int = 100) -> builtins.list[dict[str, Any]]:
        """Return the same as ``list_all``."""
        return self.list_all(repo, limit)

    def get_storage_type(self, uri: str | AtUri) -> Literal["external", "blobs"]:
        """Tell whether a dataset lies at URLs or in blobs."""
        return self._read(uri).storage.kind

    def get_urls(self, uri: str | AtUri) -> builtins.list[str]:
        """Return the URLs of a dataset; ``ValueError`` if it lies in blobs."""
        record = self._of_kind(uri, "external", "get_blob_urls() tells where they are")
        return list(record.storage.urls)

    def get_blobs(self, uri: str | AtUri) -> builtins.list[dict[str, Any]]:
        """Return the references of a dataset's blobs; ``ValueError`` if it lies at URLs."""
        record = self._of_kind(uri, "blobs", "get_urls() returns those")
        return [blob.to_record() for blob in record.storage.blobs]

    def get_blob_urls(self, uri: str | AtUri) -> builtins.list[str]:
        """Return web addresses of a dataset's blobs; ``ValueError`` if it lies at URLs."""
        record = self._of_kind(uri, "blobs", "get_urls() returns those")
        did = self._did_of(uri)
        return [self._client.get_blob_url(did, blob.cid) for blob in record.storage.blobs]

    def get_metadata(self, uri: str | AtUri) -> dict[str, Any] | None:
        """Return what was published beside a dataset, None if there is nothing."""
        return self._read(uri).metadata

    def to_dataset(self, uri: str | AtUri, sample_type: type[T]) -> Dataset[T]:
        """Open a dataset, at URLs or in blobs, as samples of a type.

        No shard is fetched yet; metadata that is kept at a URL is. ``UntrustedInputError`` if the
        record names URLs that are not for strangers to name.
        """
        record = self._read(uri)
        did = self._did_of(uri)
        network = self._client.network
        source = NetworkSource(
            record.storage.data_urls(did),
            network=network,
            allow=self._allow,
            expected=expectations(record, did),
        )
        metadata = record.metadata
        if metadata is None and record.metadata_url is not None:
            metadata = self._fetch_metadata(record.metadata_url)
        shards = {shard.url: shard for shard in record.shards(did) or ()}
        dataset = Dataset(source, sample_type=sample_type)
        return dataset.with_info(metadata=metadata, registered=Registered(record.name, shards))

    def _fetch_metadata(self, url: str) -> dict[str, Any]:
        # Not the dataset itself, which would open it as the user's own.
        source = NetworkSource(
            [url],
            network=self._client.network,
            allow=self._allow,
            expected={url: Expected(size=MAX_BYTES)},
        )
        return read_metadata(source.open_shard(url), url)

    def _read(self, uri: str | AtUri) -> DatasetRecord:
        return read_dataset(self._client.get_record(uri), uri)

    def _of_kind(self, uri: str | AtUri, kind: str, remedy: str) -> DatasetRecord:
        record = self._read(uri)
        if record.storage.kind != kind:
            message = f"{uri} lies {'in blobs' if kind == 'external' else 'at URLs'}; {remedy}"
            raise FieldError(message, uri=str(uri), field="storage")
        return record

    def _did_of(self, uri: str | AtUri) -> str:
        authority = AtUri.parse(str(uri)).authority
        return authority if authority.startswith("did:") else self._client.resolve(authority).did
