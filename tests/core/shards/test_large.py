"""Large samples of a local file are read by their outlines, and read the same."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.shards.reading import as_columns, one_by_one, outcome
from tests.shard_files import shard_bytes

from atdata import Dataset, DictSample, packable
from atdata.errors import TruncatedShardError
from atdata.shards import ShardReader
from atdata.shards.large import LargeRun

SIDE = 192


@packable
class Image:
    """One large array, with text behind it."""

    image: NDArray[np.uint8]
    label: str
    score: float


@packable
class Masked:
    """Two large values around small ones, one of them of any size."""

    image: NDArray[np.uint8]
    index: int
    mask: bytes
    extra: NDArray | None  # type: ignore[type-arg]
    tags: list[str]


@packable
class Spaced:
    """Two large values with so much between them that it is not read along with them."""

    image: NDArray[np.uint8]
    thumbnail: NDArray[np.uint8]
    mask: bytes


@packable
class Scaled:
    """A sample that is not just what is stored of it."""

    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        self.image = self.image + 1


def _image(index: int, rng: random.Random) -> Image:
    side = rng.choice([SIDE] * 20 + [SIDE // 2])
    label = "é" * rng.choice([1, 1, 1, 1, 600])
    return Image(np.full((side, side), index % 256, np.uint8), label, index / 3)


def _masked(index: int, rng: random.Random) -> Masked:
    return Masked(
        np.full((SIDE, SIDE), index % 256, np.uint8),
        index,
        bytes([index % 256]) * rng.choice([40_000] * 20 + [0]),
        rng.choice([None] * 20 + [np.zeros((SIDE, SIDE))]),
        ["a"] * rng.randrange(3),
    )


def _spaced(index: int, rng: random.Random) -> Spaced:
    side = rng.choice([100] * 20 + [99])
    image = np.full((SIDE, SIDE), index % 256, np.uint8)
    return Spaced(image, np.full((side, side), index % 256, np.uint8), bytes(40_000))


_MAKERS: dict[type[Any], Callable[[int, random.Random], Any]] = {
    Image: _image,
    Masked: _masked,
    Spaced: _spaced,
}


def _from_file(path: Path, sample_type: type[Any], buffering: int = 0) -> list[Any]:
    with path.open("rb", buffering=buffering) as stream:
        return as_columns(stream, sample_type)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([kind.__name__ for kind in _MAKERS]),
    count=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    # Where the outlines are; a flip in the middle of an array is only another array.
    flips=st.lists(
        st.tuples(st.integers(0, 39), st.integers(-700, 900), st.integers(0, 7)), max_size=2
    ),
    cut=st.none() | st.floats(0, 1),
    untyped=st.booleans(),
    buffering=st.sampled_from([0, 8192]),
)
def test_a_file_is_read_as_a_stream_is(  # noqa: PLR0913, PLR0917 -- every way in which shards differ
    tmp_path: Path,
    kind: str,
    count: int,
    seed: int,
    flips: list[tuple[int, int, int]],
    cut: float | None,
    untyped: bool,
    buffering: int,
) -> None:
    written_type = next(each for each in _MAKERS if each.__name__ == kind)
    rng = random.Random(seed)
    samples = [_MAKERS[written_type](number, rng) for number in range(count)]
    data = bytearray(shard_bytes(samples))
    stride = (len(data) - 1024) // count
    for member, distance, bit in flips:
        data[(member * stride + distance) % len(data)] ^= 1 << bit
    shard = bytes(data if cut is None else data[: int(cut * len(data))])
    sample_type = DictSample if untyped else written_type
    expected = outcome(one_by_one, shard, sample_type)
    if expected == []:
        # Only the reader of whole shards minds that there is nothing in one.
        return
    path = tmp_path / "shard.tar"
    path.write_bytes(shard)
    assert outcome(_from_file, path, sample_type, buffering) == expected


def _write(path: Path, count: int) -> list[Image]:
    rng = random.Random(1)
    samples = [
        Image(np.full((SIDE, SIDE), n % 256, np.uint8), "x" * rng.randrange(30), n / 7)
        for n in range(count)
    ]
    path.write_bytes(shard_bytes(samples))
    return samples


def _is_large(reader: ShardReader, stream: IO[bytes]) -> list[tuple[Any, bool]]:
    rows = reader.read(stream, "a")
    return [(s, isinstance(part, LargeRun)) for part in rows for s in part.samples(0, len(part))]


def test_equal_images_are_read_by_their_outlines(tmp_path: Path) -> None:
    samples = _write(tmp_path / "a.tar", 100)
    reader = ShardReader(Image)
    with (tmp_path / "a.tar").open("rb") as stream:
        found = _is_large(reader, stream)
        assert [sample for sample, _ in found] == samples
        assert sum(is_large for _, is_large in found) > 0.9 * len(samples)
        # The second shard of the same samples is so from its first one on.
        stream.seek(0)
        assert _is_large(reader, stream) == [(sample, True) for sample in samples]


def test_a_stream_that_is_no_file_has_no_outlines(tmp_path: Path) -> None:
    samples = _write(tmp_path / "a.tar", 20)
    found = _is_large(ShardReader(Image), io.BytesIO((tmp_path / "a.tar").read_bytes()))
    assert found == [(sample, False) for sample in samples]


def test_a_shard_may_begin_behind_the_start_of_a_file(tmp_path: Path) -> None:
    samples = _write(tmp_path / "a.tar", 20)
    path = tmp_path / "behind.tar"
    path.write_bytes(b"something else" + (tmp_path / "a.tar").read_bytes())
    with path.open("rb", buffering=0) as stream:
        stream.seek(len(b"something else"))
        assert as_columns(stream, Image) == samples


@pytest.mark.parametrize("batch_size", [1, 7])
def test_shuffled_images_are_all_there_once(tmp_path: Path, batch_size: int) -> None:
    samples = _write(tmp_path / "a.tar", 50)
    ds = Dataset[Image](tmp_path / "a.tar")
    batches = ds.shuffled(buffer_samples=20, seed=3, batch_size=batch_size)
    found = [sample for batch in batches for sample in batch.samples]
    assert sorted(found, key=lambda sample: sample.score) == samples
    assert found != samples


def test_what_a_class_does_to_large_samples_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(shard_bytes([Scaled(np.zeros((SIDE, SIDE), np.uint8)) for _ in range(10)]))
    # Once when it was written, and once when it is read.
    assert {int(sample.image[0, 0]) for sample in Dataset[Scaled](path)} == {2}


def test_a_file_cut_while_it_is_read_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    _write(path, 100)
    with path.open("rb", buffering=0) as stream:
        rows = ShardReader(Image).read(stream, "a")
        part = next(part for part in rows if isinstance(part, LargeRun))
        os.truncate(path, 100_000)
        with pytest.raises(TruncatedShardError, match="offset 100000"):
            part.samples(0, len(part))


def test_samples_of_a_file_do_not_share_memory(tmp_path: Path) -> None:
    samples = _write(tmp_path / "a.tar", 20)
    read = list(Dataset[Image](tmp_path / "a.tar"))
    read[3].image[:] = 255
    read.pop(3)
    samples.pop(3)
    assert read == samples


def test_keeping_one_sample_keeps_few_megabytes_of_its_neighbours(tmp_path: Path) -> None:
    _write(tmp_path / "a.tar", 300)
    for sample in Dataset[Image](tmp_path / "a.tar"):
        base = sample.image.base
        assert base is not None
        assert base.nbytes <= 4 << 20


# Both threads are there from the first batch on; the forked process has one of them only.
_FORKS = """
import os, sys
from tests.core.shards.test_large import SIDE, Image, is_read
assert is_read(sys.argv[1])
child = os.fork()
if not child:
    os._exit(0 if is_read(sys.argv[1]) else 1)
assert os.waitpid(child, 0)[1] == 0
"""

# Once the main thread has ended, no others can be begun.
_OUTLIVES = """
import sys, threading
from tests.core.shards.test_large import Image, is_read

def read():
    threading.main_thread().join()
    assert is_read(sys.argv[1])
    print("read")

threading.Thread(target=read).start()
"""


def is_read(path: str) -> bool:
    """Whether batches of megabytes hold what ``_write`` wrote."""
    ds = Dataset[Image](path)
    batches = [*ds.ordered(batch_size=64), *ds.shuffled(batch_size=64, seed=1)]
    numbers = [np.rint(np.array(batch.score) * 7) % 256 for batch in batches]
    return all(
        (batch.image == number[:, None, None]).all()
        for batch, number in zip(batches, numbers, strict=True)
    )


@pytest.mark.parametrize(("script", "said"), [(_FORKS, ""), (_OUTLIVES, "read\n")])
def test_large_batches_are_read_in_any_process_and_thread(
    tmp_path: Path, script: str, said: str
) -> None:
    _write(tmp_path / "a.tar", 200)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, tmp_path / "a.tar"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert not done.stderr
