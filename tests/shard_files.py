"""Shards for tests: written by atdata, by webdataset, by Python's tarfile; and odd ways to read."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import IO, Any

from webdataset.writer import TarWriter

from atdata import Dataset
from atdata.dataset import Registered
from atdata.shards import ShardDigest, ShardInfo, ShardWriter

Member = tuple[str, bytes]


def shard_bytes(samples: Iterable[Any], keys: Iterable[str] | None = None) -> bytes:
    stream = io.BytesIO()
    finish_shard(stream, samples, keys)
    return stream.getvalue()


def finish_shard(
    stream: IO[bytes], samples: Iterable[Any], keys: Iterable[str] | None = None
) -> ShardDigest:
    writer = ShardWriter(stream)
    names = iter(keys) if keys is not None else (f"{number:06d}" for number in range(10**6))
    for sample in samples:
        writer.write(next(names), sample.packed)
    return writer.finish()


def write_shard(path: Path, samples: Iterable[Any]) -> str:
    """Write samples with atdata's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shard_bytes(samples))
    return str(path)


def write_shards(folder: Path, samples: Sequence[Any], shards: int) -> list[str]:
    """Deal samples out in order over that many shards of about the same length."""
    bounds = [len(samples) * number // shards for number in range(shards + 1)]
    return [
        write_shard(folder / f"part-{number:04d}.tar", samples[bounds[number] : bounds[number + 1]])
        for number in range(shards)
    ]


def registered(shards: Mapping[str, tuple[bytes, int]], *, digests: bool = False) -> Registered:
    """Say what an index knows of shards, of which bytes and number of samples are given."""
    known = {
        name: ShardInfo(name, count, len(data), hashlib.sha256(data).hexdigest())
        for name, (data, count) in shards.items()
    }
    return Registered("digits", known, digests=digests)


def write_with_webdataset(path: Path, samples: Iterable[Any]) -> str:
    """Write samples as the documents tell users to: PAX headers, padding to 10,240 bytes."""
    with TarWriter(str(path)) as sink:
        for number, sample in enumerate(samples):
            sink.write({**sample.as_wds, "__key__": f"sample_{number:06d}"})
    return str(path)


def tar_bytes(
    members: Iterable[Member | tarfile.TarInfo],
    form: int = tarfile.USTAR_FORMAT,
    times: Iterable[float] = repeat(0),
) -> bytes:
    """Write members with Python's tarfile; a ``TarInfo`` is a member without data."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for member, time in zip(members, times, strict=False):
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            info.mtime = time
            archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def tar_member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


class BytesSource:
    """Shards in memory, opened through whatever stream class a test is about."""

    def __init__(self, shards: dict[str, bytes], stream: type[Any] = io.BytesIO) -> None:
        self._shards = shards
        self._stream = stream

    def list_shards(self) -> list[str]:
        return list(self._shards)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        return self._stream(self._shards[shard_id])  # type: ignore[no-any-return]

    @property
    def shards(self) -> Iterable[tuple[str, IO[bytes]]]:
        return ((name, self.open_shard(name)) for name in self._shards)


def read_bytes(data: bytes, sample_type: type[Any], stream: type[Any] = io.BytesIO) -> list[Any]:
    """Read one shard that exists in memory only, called ``the-shard``."""
    return list(dataset_of(data, sample_type, stream))


def dataset_of(data: bytes, sample_type: type[Any], stream: type[Any] = io.BytesIO) -> Dataset[Any]:
    return Dataset(BytesSource({"the-shard": data}, stream), sample_type=sample_type)


class ShortReads(io.BytesIO):
    """A stream that gives at most ``most`` bytes at a time, as sockets do."""

    most = 7

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self.most if size is None or size < 0 else min(size, self.most)
        return super().read(wanted)

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(memoryview(buffer)[: self.most])


class SingleBytes(ShortReads):
    most = 1


class RandomReads(ShortReads):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._random = random.Random(len(data))

    @property
    def most(self) -> int:  # type: ignore[override]
        return self._random.choice([1, 3, 511, 512, 513, 4096, 1 << 20])


class ReadOnly:
    """A stream that can be read and closed, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()
