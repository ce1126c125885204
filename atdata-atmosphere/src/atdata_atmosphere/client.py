"""The client: one account's records and blobs, and anybody's to read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from atdata.errors import AuthenticationError, InvalidNameError
from atdata.home import home, make_home
from atdata_atmosphere.blob_transfer import download_blob, read_blob, upload, upload_limit
from atdata_atmosphere.handles import HandleLookup
from atdata_atmosphere.identity import PLC_DIRECTORY, Identity, Resolver
from atdata_atmosphere.listing import first_values
from atdata_atmosphere.network import Network
from atdata_atmosphere.repository import RepoRecord, Repository
from atdata_atmosphere.session_file import read_session
from atdata_atmosphere.sessions import Sessions
from atdata_atmosphere.uri import AtUri
from atdata_atmosphere.web import Web
from atdata_atmosphere.xrpc import Xrpc

if TYPE_CHECKING:
    from atproto import Client

BSKY = "https://bsky.social"
SESSION_FILE = "session"


class AtmosphereClient:
    """Reads anybody's records and blobs, and writes those of the account that is logged in.

    ``base_url`` is the server to log in at. Reading goes to the server that the repository's
    owner names, and needs no login. Servers other than ``base_url`` and ``plc_url`` must be public
    and speak https, unless ``allow_private``. An exchange with one may take ``timeout`` seconds,
    and more if it moves much; a server that is busy is waited for, no more than ``max_wait``
    seconds in all.

    Threads may share a client and forked children may go on using it. It is not picklable: it
    holds a session, which is as secret as a password.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        plc_url: str = PLC_DIRECTORY,
        allow_private: bool = False,
        timeout: float = 60.0,
        max_wait: float = 330.0,
        _client: Client | None = None,
    ) -> None:
        self.plc_url = plc_url
        self.allow_private = allow_private
        self._network = Network(plc_url, base_url or None, allow_private)
        reach = self._network.reach
        self._base_url = reach.origin(base_url or BSKY)
        self._web = Web(reach, timeout=timeout, max_wait=max_wait)
        self._sessions = Sessions(self._base_url, reach, timeout=timeout, sdk=_client)
        handles = HandleLookup(self._web, pds=self._base_url if base_url else None)
        self._resolver = Resolver(self._web, plc_url=plc_url, handles=handles)
        self._xrpc = Xrpc(self._web, self._sessions)
        self._repository = Repository(self._xrpc)

    @classmethod
    def from_env(cls) -> AtmosphereClient:
        """Return a client as the environment describes it.

        ``ATPROTO_HANDLE`` and ``ATPROTO_APP_PASSWORD`` log in, unless the saved session is that
        account's and still valid; without them the saved session is restored if there is one.
        ``ATPROTO_BASE_URL`` and ``ATPROTO_PLC_URL`` name other servers, which may be private if
        ``ATDATA_ALLOW_PRIVATE`` is 1.
        """
        client = cls(
            os.environ.get("ATPROTO_BASE_URL"),
            plc_url=os.environ.get("ATPROTO_PLC_URL") or PLC_DIRECTORY,
            allow_private=os.environ.get("ATDATA_ALLOW_PRIVATE") == "1",
        )
        handle = os.environ.get("ATPROTO_HANDLE", "")
        password = os.environ.get("ATPROTO_APP_PASSWORD", "")
        if not client._restore_saved(handle) and handle and password:
            client.login(handle, password)
            client.save_session()
        return client

    def _restore_saved(self, handle: str) -> bool:
        try:
            is_restored = self.load_session()
        except (AuthenticationError, InvalidNameError):
            return False
        wanted = handle.removeprefix("@").lower()
        if is_restored and wanted and wanted not in (self.handle, self.did):
            self.logout()
            return False
        return is_restored

    @property
    def base_url(self) -> str:
        """The server that this client logs in at."""
        return self._base_url

    @property
    def network(self) -> Network:
        """Where this client looks identities up, and whether private servers are allowed."""
        return self._network

    @property
    def did(self) -> str:
        """The account's DID; `AuthenticationError` if nobody is logged in."""
        return str(self._sessions.required().did)

    @property
    def handle(self) -> str:
        """The account's handle; `AuthenticationError` if nobody is logged in."""
        return str(self._sessions.required().handle)

    @property
    def is_authenticated(self) -> bool:
        """Whether somebody is logged in."""
        return self._sessions.current is not None

    def login(self, handle: str, password: str) -> None:
        """Log in with a handle, DID or email address and an app password.

        Raises:
            AuthenticationError: the server does not accept them.
            StorageError: it cannot be asked, or allows no more attempts for now.
        """
        self._sessions.begin(handle, password)

    def login_with_session(self, session_string: str) -> None:
        """Go on with a session from `export_session`, renewed if need be.

        Raises:
            InvalidNameError: that is no session.
            AuthenticationError: the session has expired or was revoked.
        """
        self._sessions.restore(session_string)
        self._check_session()

    def _check_session(self) -> None:
        try:
            self._xrpc.query_own("com.atproto.server.getSession")
        except AuthenticationError:
            self.logout()
            raise

    def export_session(self) -> str:
        """Return the session as text for `login_with_session`; it is as secret as a password."""
        return self._sessions.export()

    def save_session(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Keep the session, also when it is renewed, in a file that its owner alone can read.

        Returns the path, ``session`` in the folder of atdata by default.
        """
        file = Path(path) if path is not None else make_home() / SESSION_FILE
        self._sessions.save_to(file)
        return file

    def load_session(self, path: str | os.PathLike[str] | None = None) -> bool:
        """Go on with a session that was saved, and keep it there; False if there is none."""
        file = Path(path) if path is not None else home() / SESSION_FILE
        text = read_session(file)
        if text is None:
            return False
        self._sessions.restore(text)
        # From now on, for a file that holds no session is not ours to write.
        self._sessions.path = file
        self._check_session()
        return True

    def logout(self) -> None:
        """Forget the session here; saved and exported ones remain valid."""
        self._sessions.forget()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._web.close()

    def resolve(self, name: str, *, fresh: bool = False) -> Identity:
        """Return the DID, handle and server of a handle or DID, checked in both directions.

        They are kept for ten minutes; ``fresh`` asks again.

        Raises:
            NotFoundError: nobody goes by that name.
            UntrustedInputError: handle and DID contradict each other, or a server is refused.
        """
        return self._resolver.resolve(name, fresh=fresh)

    def create_record(
        self,
        collection: str,
        record: Mapping[str, Any],
        *,
        rkey: str | None = None,
        validate: bool = False,
    ) -> AtUri:
        """Store a record under a new key, and return its address.

        However often the network fails, there is one record in the end or an error.

        Raises:
            ConflictError: there is a record under ``rkey`` already.
            FieldError, LimitExceededError: no server takes such a record.
            AuthenticationError: nobody is logged in.
        """
        return self._repository.create(collection, record, rkey, validate=validate)

    def put_record(
        self,
        collection: str,
        rkey: str,
        record: Mapping[str, Any],
        *,
        validate: bool = False,
        swap_commit: str | None = None,
        swap_record: str | None = None,
    ) -> AtUri:
        """Store a record under a key, in place of what is there.

        ``swap_commit`` and ``swap_record`` are the CIDs that the repository and the record must
        still have; else `ConflictError`. Raises as `create_record` does.
        """
        swaps = {"swapCommit": swap_commit, "swapRecord": swap_record}
        return self._repository.put(collection, rkey, record, validate=validate, swaps=swaps)

    def get_record(self, uri: str | AtUri) -> dict[str, Any]:
        """Return a record; `NotFoundError` if there is none."""
        return self.read_record(uri).value

    def read_record(self, uri: str | AtUri) -> RepoRecord:
        """Return a record with its address, by DID, and its CID."""
        address = AtUri.parse(uri) if isinstance(uri, str) else uri
        did, server = self._home_of(address.authority)
        return self._repository.read(server, AtUri(did, address.collection, address.rkey))

    def delete_record(self, uri: str | AtUri, *, swap_commit: str | None = None) -> None:
        """Delete a record of the account's; nothing happens if there is none."""
        address = AtUri.parse(uri) if isinstance(uri, str) else uri
        if not self._is_own(address.authority):
            message = f"{address} is not {self.handle}'s to delete"
            raise AuthenticationError(message, uri=str(address))
        self._repository.delete(address.collection, address.rkey, swap_commit)

    def list_records(
        self,
        collection: str,
        *,
        repo: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return up to ``limit`` records, newest first, and the cursor for more, None at the end.

        ``repo`` is a DID or handle, the account's own by default.
        """
        records, after = self.list_entries(collection, repo=repo, limit=limit, cursor=cursor)
        return [record.value for record in records], after

    def list_entries(
        self,
        collection: str,
        *,
        repo: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[RepoRecord], str | None]:
        """Return what `list_records` does, each record with its address and CID."""
        did, server = self._home_of(repo or self.did)
        return self._repository.page(server, did, collection, limit, cursor)

    def list_schemas(self, repo: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the first schema records of a repository, of any generation."""
        return first_values(self, "schema", repo, limit)

    def list_datasets(self, repo: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the first dataset records of a repository, of any generation."""
        return first_values(self, "dataset", repo, limit)

    def list_lenses(self, repo: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the first lens records of a repository, of any generation."""
        return first_values(self, "lens", repo, limit)

    def publish_schema(self, sample_type: type, **options: Any) -> AtUri:
        """Publish a sample type; see `SchemaPublisher.publish`."""
        # It knows sample types, which records and blobs do without.
        from atdata_atmosphere.schemas import SchemaPublisher

        return SchemaPublisher(self).publish(sample_type, **options)

    def query(
        self, nsid: str, params: Mapping[str, Any] | None = None, *, server: str | None = None
    ) -> dict[str, Any]:
        """Return a server's answer to any query, asked without a login; by default `base_url`."""
        origin = self._web.reach.origin(server or self._base_url)
        return self._xrpc.query(origin, nsid, params or {})

    def upload_blob(
        self, data: bytes | IO[bytes], mime_type: str = "application/octet-stream"
    ) -> dict[str, Any]:
        """Upload bytes, or a seekable file from its start, and return the reference to them.

        The server removes a blob after a while unless a record refers to it.

        Raises:
            LimitExceededError: the server takes no blobs of that size.
            CorruptDataError: the server got other bytes than were sent.
        """
        return upload(self._xrpc, data, mime_type)

    def get_upload_limit(self) -> int | None:
        """Return the most bytes that the account's server says a blob may have, None if unsaid."""
        return upload_limit(self._xrpc)

    def get_blob(self, did: str, cid: str) -> bytes:
        """Return a blob, whose bytes were checked against its CID.

        Raises:
            NotFoundError: there is none, or no record refers to it.
            CorruptDataError: the server sends other bytes.
        """
        return read_blob(self._web, self.get_blob_url(did, cid), cid)

    def download_blob(self, did: str, cid: str, file: IO[bytes], *, max_bytes: int) -> int:
        """Write a blob to the start of an empty file and return its size, as `get_blob` does.

        What is in the file counts only once this has returned: it may be written several times.
        """
        return download_blob(self._web, self.get_blob_url(did, cid), cid, file, max_bytes)

    def get_blob_url(self, did: str, cid: str) -> str:
        """Return the URL of a blob at the server of its repository."""
        owner, server = self._home_of(did)
        return self._repository.blob_url(server, owner, cid)

    def _home_of(self, name: str) -> tuple[str, str]:
        """Return the DID of a repository and its server's origin."""
        if self._is_own(name):
            return self.did, self._sessions.origin
        return self._resolver.home(name)

    def _is_own(self, name: str) -> bool:
        session = self._sessions.current
        return session is not None and (name == session.did or name.lower() == session.handle)

    def __repr__(self) -> str:
        session = self._sessions.current
        who = f"logged in as {session.handle}" if session else "not logged in"
        return f"<AtmosphereClient of {self._base_url}, {who}>"

    def __reduce__(self) -> NoReturn:
        message = "a client holds a session and is not pickled; make one where it is used"
        raise TypeError(message)
