"""What colleagues do, each in a process of its own that is given a place and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import atdata
from atdata.dataset.url import open_url
from atdata.errors import AtdataError

if TYPE_CHECKING:
    from tests.stories.places import Place


@atdata.packable
class Reading:
    """What a sensor saw."""

    values: NDArray[np.float32]
    place: str


def readings(number: int, place: str = "lab") -> Iterator[Reading]:
    return (Reading(np.full(4, n, np.float32), place) for n in range(number))


def load(place: Place, name: str, split: str = "train") -> list[tuple[str, list[float]]]:
    """Read a dataset by its name alone, in classes made from the index."""
    with place.open() as index:
        ds = atdata.load_dataset(f"@local/{name}", index=index, split=split)
        assert ds.sample_type is index.decode_schema(index.get_dataset(name).schema_ref)
        return [(sample.place, sample.values.tolist()) for sample in ds]


def expected(number: int, place: str = "lab") -> list[tuple[str, list[float]]]:
    return [(one.place, one.values.tolist()) for one in readings(number, place)]


def describe(place: Place, name: str) -> list[tuple[int, str, str | None]]:
    """Return revision, CID and content CID of each revision, newest first."""
    with place.open() as index:
        return [(one.revision, one.cid, one.content_cid) for one in index.history(name)]


def names(place: Place) -> list[str]:
    with place.open() as index:
        return [entry.name for entry in index.datasets]


def publish(place: Place, times: int) -> list[str]:
    """Publish one schema so many times, each as the next version."""
    with place.open() as index:
        return [index.publish_schema(Reading) for _ in range(times)]


def write(place: Place, name: str, number: int) -> int:
    with place.open() as index:
        return index.write(readings(number), name=name, maxcount=2).revision


def write_on(place: Place, name: str) -> None:
    """Write datasets of two splits, one after the other, until killed."""
    with place.open() as index:
        for number in count():
            splits = {"train": readings(5), "test": readings(3)}
            index.write(splits, name=f"{name}/{number:04d}", maxcount=2)


def problem(place: Place, name: str) -> str:
    """Return what kind of error it is to load a dataset."""
    try:
        load(place, name)
    except AtdataError as error:
        return type(error).__name__
    return "none"


def read_url(place: Place, url: str, user: int | None) -> str:
    """Return what somebody gets who has a shard's URL, and none of the store's keys."""
    if user is not None:
        # The checkout may lie where that user cannot import from it.
        _read_url(place, url)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    return _read_url(place, url)


def _read_url(place: Place, url: str) -> str:
    try:
        with open_url(place.open_store().read_url(url)) as stream:
            return f"{len(stream.read())} bytes"
    except AtdataError as error:
        return type(error).__name__
