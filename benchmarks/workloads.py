"""The samples that every system writes and reads: the same ones on every machine."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = dict[str, Any]

_AT_ONCE = 1000
_SUM = 1 << 64


@dataclass(frozen=True)
class Field:
    """A field; the shape of an array is None where it differs from sample to sample."""

    name: str
    kind: type[Any]
    dtype: str = ""
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Workload:
    """So many samples of some fields, in shards of so many."""

    name: str
    title: str
    fields: tuple[Field, ...]
    count: int
    per_shard: int
    make: Callable[[np.random.Generator, int, int], Iterable[Values]]
    shuffled_batch: int = 256

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(field.name for field in self.fields)

    def samples(self, count: int) -> Iterator[Values]:
        """Yield the first samples."""
        for start in range(0, count, _AT_ONCE):
            # Each thousand has a seed of its own, so that the first ones never depend on how many.
            rng = np.random.default_rng([ord(self.name), start])
            yield from self.make(rng, start, min(_AT_ONCE, count - start))

    def digest(self, samples: Iterable[tuple[Any, ...]]) -> tuple[int, int]:
        """Return the number of samples and a checksum of their values, whatever their order."""
        count = total = 0
        for values in samples:
            pairs = zip(self.fields, values, strict=True)
            total += zlib.crc32(b"".join(_to_bytes(field, value) for field, value in pairs))
            count += 1
        return count, total % _SUM


def _to_bytes(field: Field, value: Any) -> bytes:
    if field.kind is np.ndarray:
        array = np.asarray(value)
        return f"{array.dtype.name}{array.shape}".encode() + array.tobytes()
    if field.kind is str:
        return str(value).encode()
    return struct.pack("<d", value) if field.kind is float else struct.pack("<q", int(value))


def _vectors(rng: np.random.Generator, start: int, count: int) -> Iterator[Values]:
    arrays = rng.random((count, 128), dtype=np.float32)
    for number in range(count):
        yield {"array": arrays[number].copy(), "label": start + number}


def _images(rng: np.random.Generator, start: int, count: int) -> Iterator[Values]:
    for number in range(start, start + count):
        image = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
        yield {"image": image, "label": f"class {number % 100}", "weight": number / 3}


def _texts(rng: np.random.Generator, start: int, count: int) -> Iterator[Values]:
    plain = rng.choice(list("abcdefghijklmnopqrstuvwxyz      "), 20_000)
    pool = "".join(plain)
    # One text in ten is not ASCII, as in many collections.
    foreign = pool.replace("e", "é").replace("o", "ö")
    lengths = rng.integers(50, 2001, count)
    offsets = rng.integers(0, len(pool) - 2000, count)
    for number, (length, offset) in enumerate(zip(lengths, offsets, strict=True)):
        source = pool if number % 10 else foreign
        yield {"text": source[offset : offset + length], "label": start + number}


def _ragged(rng: np.random.Generator, start: int, count: int) -> Iterator[Values]:
    for number, length in enumerate(rng.integers(1, 257, count)):
        yield {"array": rng.random(length, dtype=np.float32), "label": start + number}


WORKLOADS = {
    "a": Workload(
        "a",
        "100,000 samples of 128 float32 and an int",
        (Field("array", np.ndarray, "float32", (128,)), Field("label", int)),
        100_000,
        10_000,
        _vectors,
    ),
    "b": Workload(
        "b",
        "2,000 images of 224x224x3 uint8, a str and a float",
        (
            Field("image", np.ndarray, "uint8", (224, 224, 3)),
            Field("label", str),
            Field("weight", float),
        ),
        2_000,
        500,
        _images,
        shuffled_batch=32,
    ),
    "c": Workload(
        "c",
        "100,000 texts of 50 to 2,000 characters and an int",
        (Field("text", str), Field("label", int)),
        100_000,
        10_000,
        _texts,
    ),
    "d": Workload(
        "d",
        "100,000 arrays of 1 to 256 float32 and an int",
        (Field("array", np.ndarray, "float32"), Field("label", int)),
        100_000,
        10_000,
        _ragged,
    ),
}
