"""The data-store contract, and what every store has in common: cutting samples into shards."""

from __future__ import annotations

import builtins
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from typing import IO, Any, ClassVar, cast

from atdata.dataset import Dataset
from atdata.errors import EmptyDatasetError, FieldError, ShardNotFoundError, StorageError
from atdata.shards import ShardDigest, ShardInfo, ShardWriter

DEFAULT_MAXCOUNT = 100_000
DEFAULT_MAXSIZE = 1 << 30


@dataclass(frozen=True)
class Leftover:
    """What a writer that died has left in a store: a "shard", an "upload" or a "spool" file.

    ``url`` says where, and ``id`` whatever else its store needs to remove it.
    """

    kind: str
    url: str
    id: str = ""


class DataStore(ABC):
    """Takes whole shards under a name and gives URLs for them.

    A backend implements the five abstract methods; sharding, naming and digests are the same for
    all. One whose ``put`` leaves traces when its process is killed lists and removes them too, in
    ``leftovers`` or ``abandoned``, and ``remove``. Stores are picklable values that connect when
    used, safe for several threads and processes.
    Every method raises ``StorageError`` when the backend fails.
    """

    @abstractmethod
    def put(self, name: str, shard: IO[bytes]) -> str:
        """Store a spooled shard under a name, whole or not at all, and return its URL.

        The file is one from ``spool``, positioned anywhere. ``ConflictError`` if the name is
        taken, ``InvalidNameError`` if it cannot be stored under.
        """

    @abstractmethod
    def open(self, url: str, offset: int = 0) -> IO[bytes]:
        """Open a shard for reading from an offset; ``ShardNotFoundError`` if it is not there."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the URLs of all shards whose names begin with a prefix, sorted."""

    @abstractmethod
    def delete(self, url: str) -> None:
        """Remove a shard; ``ShardNotFoundError`` if it is not there."""

    @abstractmethod
    def create_source(self, urls: Sequence[str]) -> Any:
        """Make a data source of URLs, with this store's access to those that are its own."""

    def owns(self, url: str) -> bool:  # noqa: ARG002 -- for those that override it
        """Tell by its form alone whether a URL is one of this store's.

        What is in a shared index may name the shards of the stores that its reader named, and no
        others but public ones. A store that does not know its own is not read so.
        """
        return False

    def read_url(self, url: str) -> str:
        """Turn a stored URL into one that can be opened without the store."""
        return url

    def supports_streaming(self) -> bool:
        """Whether a shard can be read while it is fetched."""
        return True

    def spool(self) -> IO[bytes]:
        """Open an empty temporary file that a shard is written to before it is put.

        Like any raw file it may take only a part of what is written.
        """
        try:
            # What a buffer cannot write it tries again when it is closed, in place of our error.
            return cast("IO[bytes]", tempfile.TemporaryFile(buffering=0))
        except OSError as error:
            raise StorageError(
                f"a shard needs a temporary file, and none can be made: {error.strerror}; make "
                "room, or set TMPDIR to a folder that has some"
            ) from error

    def identify(self) -> str:
        """Return what tells this place from all others, the same through every handle on it.

        It is kept in indexes, so it holds no secrets.
        """
        return repr(self)

    def leftovers(self, prefix: str, token: str) -> Iterator[Leftover]:
        """Yield what the write of that token has left below a prefix.

        A backend adds what it finds beside whole shards, such as uploads that were begun: all
        names of a write contain ``data--{token}--``. The caller knows that the writer is dead.
        """
        mark = f"/data--{token}--"
        yield from (Leftover("shard", url) for url in self.list(f"{prefix}/") if mark in url)

    def abandoned(self) -> Iterator[Leftover]:
        """Yield what the store itself knows to belong to no writer alive, whoever began it."""
        return iter(())

    def remove(self, leftover: Leftover) -> None:
        """Remove what ``leftovers`` or ``abandoned`` found; what is gone already is no error."""
        with suppress(ShardNotFoundError):
            self.delete(leftover.url)

    def write_shards(
        self,
        ds: Dataset[Any],
        *,
        prefix: str,
        maxcount: int = DEFAULT_MAXCOUNT,
        maxsize: int = DEFAULT_MAXSIZE,
    ) -> builtins.list[str]:
        """Write a dataset's samples as shards below a prefix, and return their URLs."""
        cut = Cut(maxcount, maxsize)
        folder = prefix.rstrip("/")
        return [shard.url for shard in self.write_samples(ds, prefix=folder, cut=cut)]

    def write_samples(
        self,
        samples: Iterable[Any],
        *,
        prefix: str,
        cut: Cut | None = None,
        split: str | None = None,
        token: str | None = None,
    ) -> Sequence[ShardInfo]:
        """Write samples of one type as shards below a prefix, one spooled shard at a time.

        The token is in their names; without one a new one is made. If anything fails, the iterable
        included, no shard of it stays.

        Raises:
            EmptyDatasetError: there are no samples.
            FieldError: a sample is of another type than the first, or a value does not fit.
        """
        with ExitStack() as undo:
            written = []
            names = _names(prefix, token or new_token())
            for shard in self._shards(samples, names, cut or Cut(), split):
                undo.callback(self._take_back, shard.url)
                written.append(shard)
            if not written:
                raise EmptyDatasetError(
                    f"there are no samples to write below {prefix!r}", prefix=prefix
                )
            undo.pop_all()
        return written

    def _take_back(self, url: str) -> None:
        # The caller must hear of the first failure, not of what cannot be tidied up after it.
        with suppress(StorageError, ShardNotFoundError):
            self.delete(url)

    def _shards(
        self, samples: Iterable[Any], names: Iterator[str], cut: Cut, split: str | None
    ) -> Iterator[ShardInfo]:
        packed = _Packed(samples)
        while packed.more:
            with self.spool() as file:
                digest = cut.fill(file, packed)
                url = self.put(next(names), file)
            yield ShardInfo(url, *digest, split)


def new_token() -> str:
    """Return what sets the shards of one write apart from those of all others."""
    return uuid.uuid4().hex[:12]


def shard_name(prefix: str, token: str, number: int) -> str:
    """Return the name of one shard of a write."""
    return f"{prefix}/data--{token}--{number:06d}.tar"


def _names(prefix: str, token: str) -> Iterator[str]:
    return (shard_name(prefix, token, number) for number in count())


@dataclass(frozen=True)
class Cut:
    """Where a shard ends: at a number of samples, or when it has reached a number of bytes."""

    maxcount: int = DEFAULT_MAXCOUNT
    maxsize: int = DEFAULT_MAXSIZE

    def __post_init__(self) -> None:
        if self.maxcount < 1 or self.maxsize < 1:
            raise ValueError("maxcount and maxsize are at least 1")

    def fill(self, file: IO[bytes], packed: _Packed) -> ShardDigest:
        """Write samples to a file until the shard is full or none are left."""
        writer = ShardWriter(file)
        while packed.more and writer.count < self.maxcount and writer.bytes < self.maxsize:
            number, payload = packed.take()
            writer.write(f"{number:09d}", payload)
        return writer.finish()


class _Packed:
    """Numbers and packs samples, looking one ahead so that no shard is begun for nothing."""

    more: bool

    # The end of an iterable, which None might be part of.
    _END: ClassVar[object] = object()

    def __init__(self, samples: Iterable[Any]) -> None:
        self._samples = iter(samples)
        self._next: Any = next(self._samples, self._END)
        self._type: type[Any] = type(self._next)
        # Asked of the class: a sample would be packed to answer.
        self._is_packable = hasattr(self._type, "packed")
        self._number = 0
        self.more = self._next is not self._END

    def take(self) -> tuple[int, bytes]:
        sample, number = self._next, self._number
        if type(sample) is not self._type or not self._is_packable:
            kind = type(sample).__name__
            raise FieldError(
                f"sample {number} is of type {kind}, expected "
                f"{self._type.__name__ if self._is_packable else 'a @packable class'}",
                position=number,
            )
        self._next = next(self._samples, self._END)
        self.more = self._next is not self._END
        self._number += 1
        return number, sample.packed
