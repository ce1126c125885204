"""Data sources of files in a folder: a sound one, and what becomes of it with one fault each."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from atdata.dataset import ShardSource
from atdata.errors import CorruptDataError, ShardNotFoundError


class Sound(ShardSource):
    """Files, by their paths."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)

    def list_shards(self) -> list[str]:
        return list(self.paths)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        if shard_id not in self.paths:
            raise ShardNotFoundError(f"{shard_id!r:.99} is not listed", shard=shard_id)
        try:
            return open(shard_id, "rb")
        except FileNotFoundError as error:
            raise ShardNotFoundError(f"there is no {shard_id!r:.99}", shard=shard_id) from error


class Reordering(Sound):
    def list_shards(self) -> list[str]:
        return random.sample(self.paths, len(self.paths))


class Sorting(Sound):
    def list_shards(self) -> list[str]:
        return sorted(self.paths)


class Looking(Sound):
    """Lists what is in the folder."""

    def list_shards(self) -> list[str]:
        there = {str(path) for path in Path(self.paths[0]).parent.iterdir()}
        return [path for path in self.paths if path in there]


class GivingItself(Sound):
    """Gives its own list away, to be changed."""

    def list_shards(self) -> list[str]:
        return self.paths


class OneStream(Sound):
    """Opens a shard once, and gives that stream to all who ask."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(paths)
        self.opened: dict[str, Any] = {}

    def open_shard(self, shard_id: str) -> IO[bytes]:
        if shard_id not in self.opened or self.opened[shard_id].closed:
            self.opened[shard_id] = super().open_shard(shard_id)
        return self.opened[shard_id]  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.paths,)


class EndingEarly(Sound):
    """Takes a short read for the end of the shard."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        with super().open_shard(shard_id) as stream:
            return io.BytesIO(stream.read(1 << 14))


class Padding(Sound):
    """Fills the last block with zeros, as tapes did."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        with super().open_shard(shard_id) as stream:
            data = stream.read()
        return io.BytesIO(data + bytes(-len(data) % 10_240))


class Skipping(Sound):
    """Takes a shard that is not there for an empty one."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        try:
            return super().open_shard(shard_id)
        except ShardNotFoundError:
            return io.BytesIO(bytes(1024))


class Gluttonous(Sound):
    """Holds a whole shard in memory."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        with super().open_shard(shard_id) as stream:
            return io.BytesIO(stream.read())


class ForeignErrors(Sound):
    def open_shard(self, shard_id: str) -> IO[bytes]:
        return open(shard_id, "rb")


class Nameless(Sound):
    """Does not say which shard."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        try:
            return super().open_shard(shard_id)
        except ShardNotFoundError as error:
            raise ShardNotFoundError("there is no such shard") from error


class Translating(Sound):
    """Calls every failure a damaged shard."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        try:
            return super().open_shard(shard_id)
        except ShardNotFoundError as error:
            raise CorruptDataError(f"{shard_id} is damaged") from error


class GenerousStream(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else max(size, 1 << 20))


class Generous(Sound):
    """Gives what is there, however little was asked for."""

    def open_shard(self, shard_id: str) -> IO[bytes]:
        with super().open_shard(shard_id) as stream:
            return GenerousStream(stream.read())


class Once(Sound):
    """Has an iterator where others have something to iterate."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(paths)
        self.pairs: Any = None

    @property
    def shards(self) -> Any:
        self.pairs = self.pairs or self.each()
        return self.pairs

    def each(self) -> Iterator[tuple[str, IO[bytes]]]:
        for path in self.paths:
            with self.open_shard(path) as stream:
                yield path, stream


class Unpicklable(Sound):
    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(paths)
        self.lock = threading.Lock()
