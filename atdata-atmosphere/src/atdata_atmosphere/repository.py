"""Records of a repository: written once however often a reply is lost, read in pages that end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from atdata.errors import (
    AtdataError,
    ConflictError,
    CorruptDataError,
    FieldError,
    LimitExceededError,
    StorageError,
)
from atdata_atmosphere.records.blob_refs import blob_digest
from atdata_atmosphere.records.bounds import check_record
from atdata_atmosphere.records.record_cids import record_cid
from atdata_atmosphere.syntax import checked_did, checked_nsid, checked_record_key, new_tid
from atdata_atmosphere.uri import AtUri
from atdata_atmosphere.xrpc import Xrpc

PAGE = 100


class RepoRecord(NamedTuple):
    """A record with its address, by DID, and the CID it has there."""

    uri: AtUri
    cid: str
    value: dict[str, Any]


class Repository:
    """Reads the records of any repository and writes those of the account's own."""

    def __init__(self, xrpc: Xrpc) -> None:
        self._xrpc = xrpc

    def create(
        self, collection: str, record: Mapping[str, Any], rkey: str | None, *, validate: bool
    ) -> AtUri:
        """Store a record under a key of ours, so that a second attempt cannot make another."""
        # createRecord would fail with status 500 where the first attempt got through.
        options = {"validate": validate, "swapRecord": None}
        return self._put(collection, new_tid() if rkey is None else rkey, record, options)

    def put(
        self,
        collection: str,
        rkey: str,
        record: Mapping[str, Any],
        *,
        validate: bool,
        swaps: Mapping[str, str | None],
    ) -> AtUri:
        """Store a record in place of another."""
        given = {name: cid for name, cid in swaps.items() if cid is not None}
        return self._put(collection, rkey, record, {"validate": validate, **given})

    def _put(
        self, collection: str, rkey: str, record: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AtUri:
        uri = self._own(collection, rkey)
        if record.get("$type") != collection:
            message = f"the record for {collection} must say so: give it the $type {collection!r}"
            raise FieldError(message, uri=str(uri))
        check_record(record)
        body = {"repo": uri.authority, "collection": collection, "rkey": rkey, "record": record}
        try:
            answer = self._xrpc.procedure("com.atproto.repo.putRecord", {**body, **options})
        except (ConflictError, StorageError):
            # An attempt whose reply was lost may have got through.
            if not self._is_there(uri, record):
                raise
            return uri
        if answer.get("uri") != str(uri):
            message = f"the server says it wrote {str(answer.get('uri'))[:200]!r} instead of {uri}"
            raise CorruptDataError(message, uri=str(uri))
        return uri

    def _is_there(self, uri: AtUri, record: Mapping[str, Any]) -> bool:
        try:
            return self.read(self._xrpc.sessions.origin, uri).value == record
        except AtdataError:
            # What the write raised says more.
            return False

    def delete(self, collection: str, rkey: str, swap_commit: str | None) -> None:
        """Delete a record, if it is there."""
        uri = self._own(collection, rkey)
        body = {"repo": uri.authority, "collection": collection, "rkey": rkey}
        if swap_commit is not None:
            body["swapCommit"] = swap_commit
        self._xrpc.procedure("com.atproto.repo.deleteRecord", body)

    def _own(self, collection: str, rkey: str) -> AtUri:
        did = self._xrpc.sessions.required().did
        return AtUri(did, checked_nsid(collection), checked_record_key(rkey))

    def read(self, server: str, uri: AtUri) -> RepoRecord:
        """Return the record at an address, which is by DID."""
        params = {"repo": uri.authority, "collection": uri.collection, "rkey": uri.rkey}
        answer = self._xrpc.query(server, "com.atproto.repo.getRecord", params)
        record = _record(answer, server)
        if record.uri != uri:
            message = f"{server} answers with {record.uri} when asked for {uri}"
            raise CorruptDataError(message, uri=str(uri))
        _check_cid(record, server)
        return record

    def page(
        self, server: str, did: str, collection: str, limit: int, cursor: str | None
    ) -> tuple[list[RepoRecord], str | None]:
        """Return up to ``limit`` records, from several pages if need be, and the next cursor."""
        records: list[RepoRecord] = []
        most = PAGE
        while len(records) < limit:
            wanted = min(most, limit - len(records))
            try:
                page, after = self._one_page(server, did, collection, wanted, cursor)
            except LimitExceededError:
                # A hundred large records are more than is taken as one answer.
                if wanted == 1:
                    raise
                most = max(1, wanted // 8)
                continue
            records += page[:wanted]
            if after is None:
                return records, None
            if after == cursor or not page:
                message = f"{server} lists {collection} of {did} in circles, at {after!r:.80}"
                raise CorruptDataError(message, server=server, repo=did, cursor=after)
            cursor = after
        return records, cursor

    def _one_page(
        self, server: str, did: str, collection: str, limit: int, cursor: str | None
    ) -> tuple[list[RepoRecord], str | None]:
        params = {"repo": did, "collection": checked_nsid(collection), "limit": limit}
        answer = self._xrpc.query(
            server, "com.atproto.repo.listRecords", {**params, "cursor": cursor}
        )
        entries, after = answer.get("records"), answer.get("cursor")
        if not isinstance(entries, list) or not isinstance(after, str | None):
            message = f"{server} lists {collection} of {did} in a form that is none"
            raise CorruptDataError(message, server=server, repo=did)
        records = [_record(entry, server) for entry in entries]
        for record in records:
            if (record.uri.authority, record.uri.collection) != (did, collection):
                message = f"{server} lists {record.uri} among {collection} of {did}"
                raise CorruptDataError(message, server=server, repo=did)
        return records, after or None

    @staticmethod
    def blob_url(server: str, did: str, cid: str) -> str:
        """Return where a server gives a blob; `InvalidNameError` if the CID is none of a blob."""
        blob_digest(cid)
        return f"{server}/xrpc/com.atproto.sync.getBlob?did={checked_did(did)}&cid={cid}"


def _check_cid(record: RepoRecord, server: str) -> None:
    try:
        found = record_cid(record.value)
    except ValueError as error:
        message = f"{server} answers with {record.uri}, which is not a record: {error}"
        raise CorruptDataError(message, uri=str(record.uri)) from error
    if found != record.cid:
        message = (
            f"{server} answers with another value of {record.uri} than its CID says: {found}, "
            f"not {record.cid:.100}; ask again, or ask who published it"
        )
        raise CorruptDataError(message, uri=str(record.uri), expected=record.cid, found=found)


def _record(entry: Any, server: str) -> RepoRecord:
    if isinstance(entry, dict):
        uri, cid, value = entry.get("uri"), entry.get("cid"), entry.get("value")
        if isinstance(uri, str) and isinstance(cid, str) and isinstance(value, dict):
            return RepoRecord(AtUri.parse(uri), cid, value)
    raise CorruptDataError(f"{server} answers with something that is no record", server=server)
