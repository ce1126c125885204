"""Creating an object from a file, whole or not at all, and never in place of another."""

from __future__ import annotations

import io
import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import IO, Any

from atdata.errors import AtdataError, ConflictError, ShardNotFoundError, StorageError
from atdata_s3.failures import ask, ask_for
from atdata_s3.names import S3Object

# Each part is read from the file as it is sent, so memory does not grow with it.
PART = 16 << 20
MAX_PARTS = 10_000
PARALLEL = 4
# What a store calls these among its leftovers.
UPLOAD = "upload"
# Tells whether an object is the one an upload made when the answer to it was lost.
_MARK = "atdata-upload"
# How servers answer that do not know conditions on writes.
_UNCONDITIONAL = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "501"})

_moving = threading.Lock()


def upload(client: Any, target: S3Object, file: IO[bytes]) -> None:
    """Create an object from the whole of a file that has a number, positioned anywhere.

    Raises:
        ConflictError: there is one already.
        StorageError: it cannot be stored; then nothing of it stays.
    """
    new = _NewObject(client, target)
    new.refuse_existing()
    file.flush()
    number = file.fileno()
    size = os.fstat(number).st_size
    if size < 2 * PART:
        new.create(partial(_send_whole, new, FilePart(number, 0, size)))
    else:
        _send_parts(new, number, size)


class _NewObject:
    """An object that is to be created, and requests about it."""

    def __init__(self, client: Any, target: S3Object) -> None:
        self.client = client
        self.target = target
        self.metadata = {_MARK: uuid.uuid4().hex}

    def ask(self, act: Callable[..., Any], **arguments: Any) -> Any:
        return ask(self.target.url, act, **self.target.arguments, **arguments)

    def ask_for(self, part: str, act: Callable[..., Any], **arguments: Any) -> Any:
        return ask_for(part, self.target.url, act, **self.target.arguments, **arguments)

    def refuse_existing(self) -> None:
        if self._found() is not None:
            url = self.target.url
            raise ConflictError(f"there is a shard at {url} already", url=url)

    def _found(self) -> Any:
        """Return what the server says of the object, None if it is not there or may not be seen."""
        try:
            return self.ask(self.client.head_object)
        except ShardNotFoundError:
            return None
        except StorageError as error:
            # Keys may be allowed to write alone; and without the right to list, what is not there
            # is forbidden as well.
            if error.details["code"] != "403":
                raise
            return None

    def _is_ours(self) -> bool:
        found = self._found() or {}
        return bool(found.get("Metadata", {}).get(_MARK) == self.metadata[_MARK])

    def create(self, act: Callable[..., Any]) -> None:
        """Send the request that makes the object appear, unless there is one by now."""
        try:
            self._create(act)
        except AtdataError:
            # The answer to a request may be lost, and the next one then finds our own object.
            with suppress(StorageError):
                if self._is_ours():
                    return
            raise

    def _create(self, act: Callable[..., Any]) -> None:
        try:
            self.ask_for("ETag", act, IfNoneMatch="*")
        except StorageError as error:
            if error.details["code"] not in _UNCONDITIONAL:
                raise
            self.ask_for("ETag", act)


def abort(client: Any, target: S3Object, upload_id: str) -> None:
    """Remove the parts of an upload that was begun; one that is gone already is no error."""
    try:
        ask(target.url, client.abort_multipart_upload, **target.arguments, UploadId=upload_id)
    except StorageError as error:
        if error.details["code"] != "NoSuchUpload":
            raise


def _send_whole(new: _NewObject, body: FilePart, **arguments: Any) -> Any:
    # A request that was refused has read it already.
    body.seek(0)
    return new.client.put_object(Body=body, Metadata=new.metadata, **arguments)


def _send_parts(new: _NewObject, file: int, size: int) -> None:
    client = new.client
    begin = client.create_multipart_upload
    upload_id = new.ask_for("UploadId", begin, Metadata=new.metadata)["UploadId"]
    try:
        parts = _send_all(new, file, size, upload_id)
        # A server that ignores the condition on this request overwrites; there are such.
        new.refuse_existing()
        complete = {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
        new.create(partial(client.complete_multipart_upload, **complete))
    except BaseException:
        with suppress(AtdataError):
            abort(client, new.target, upload_id)
        raise


def _send_all(new: _NewObject, file: int, size: int, upload_id: str) -> list[dict[str, Any]]:
    length = max(PART, -(-size // MAX_PARTS))
    send = partial(_send_part, new, upload_id)
    bodies = [FilePart(file, at, min(length, size - at)) for at in range(0, size, length)]
    with ThreadPoolExecutor(PARALLEL, "atdata-upload") as pool:
        try:
            return list(pool.map(send, range(1, len(bodies) + 1), bodies))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _send_part(new: _NewObject, upload_id: str, number: int, body: FilePart) -> dict[str, Any]:
    what = {"UploadId": upload_id, "PartNumber": number, "Body": body}
    sent = new.ask_for("ETag", new.client.upload_part, **what)
    return {"PartNumber": number, "ETag": sent["ETag"]}


class FilePart(io.RawIOBase):
    """A stretch of an open file as a file of its own; threads may each have one of the same."""

    def __init__(self, file: int, start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length
        self._at = 0

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        """Return True, as files do."""
        return True

    def seekable(self) -> bool:
        """Return True: a request that is repeated starts over."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to an offset in the stretch."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Return the offset in the stretch."""
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the stretch goes."""
        wanted = min(len(buffer), self._length - self._at)
        part = memoryview(buffer)[: max(0, wanted)]
        count = _read_at(self._file, part, self._start + self._at)
        self._at += count
        return count


def _read_at(file: int, buffer: memoryview, at: int) -> int:
    """Fill a buffer with what a file holds at a place, and return how much that was."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], at)
    # Here the threads that share a file share its position.
    with _moving:
        os.lseek(file, at, os.SEEK_SET)
        data = os.read(file, len(buffer))
    buffer[: len(data)] = data
    return len(data)
