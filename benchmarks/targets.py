"""The targets: which figure must be how many times which other, and whether it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks import blobs, index, s3
from benchmarks.plan import GROWN, LARGE_INDEX
from benchmarks.rows import Rows
from benchmarks.systems import PEERS


class Verdict(NamedTuple):
    """A target and what was measured, None if it could not be."""

    what: str
    required: str
    measured: float | None
    met: bool | None


@dataclass(frozen=True)
class Target:
    """A ratio of ours to theirs, at least or at most so much."""

    what: str
    ratio: Callable[[Rows], float | None]
    bound: float
    at_most: bool = False

    def verdict(self, rows: Rows) -> Verdict:
        """Say whether the target is met."""
        measured = self.ratio(rows)
        required = f"at {'most' if self.at_most else 'least'} {self.bound:g}"
        if measured is None:
            return Verdict(self.what, required, None, None)
        met = measured <= self.bound if self.at_most else measured >= self.bound
        return Verdict(self.what, required, measured, met)


def verdicts(rows: Rows) -> Iterator[Verdict]:
    """Judge all targets."""
    return (target.verdict(rows) for target in TARGETS)


def _over(
    workload: str, measure: str, *peers: str, theirs: str | None = None
) -> Callable[[Rows], float | None]:
    """Our rate over that of the fastest of some peers, of which at least one must be there."""

    def ratio(rows: Rows) -> float | None:
        ours = rows.rate("atdata", workload, measure)
        rates = [rows.rate(peer, workload, theirs or measure) for peer in peers]
        best = max((rate for rate in rates if rate), default=None)
        return None if ours is None or best is None else ours / best

    return ratio


def _sizes(rows: Rows) -> float | None:
    ours = rows.median("atdata", "a", "write", "size")
    theirs = rows.median("webdataset", "a", "write", "size")
    return ours / theirs if ours and theirs else None


def _own_over_foreign(rows: Rows) -> float | None:
    foreign = rows.rate("foreign", "a", "batches of 256")
    own = rows.rate("atdata", "a", "batches of 256")
    return foreign / own if foreign and own else None


def _growth(measure: str, figure: str) -> Callable[[Rows], float | None]:
    def ratio(rows: Rows) -> float | None:
        small = rows.median("atdata", "1 x", measure, figure)
        large = rows.median("atdata", "16 x", measure, figure)
        return large / small if small and large else None

    return ratio


def _of_index(
    provider: str, over: tuple[int, str], under: tuple[int, str]
) -> Callable[[Rows], float | None]:
    """Return what divides the times of two operations in indexes of some sizes."""

    def ratio(rows: Rows) -> float | None:
        times = [
            rows.median(provider, f"index of {size:,}", operation, "each")
            for size, operation in (over, under)
        ]
        return times[0] / times[1] if times[0] and times[1] else None

    return ratio


def _page(provider: str) -> Callable[[Rows], float | None]:
    def milliseconds(rows: Rows) -> float | None:
        each = rows.median(provider, f"index of {LARGE_INDEX:,}", index.LIST, "each")
        return each and each * 1e3

    return milliseconds


def _over_plain(place: str, ours: str, plain: str) -> Callable[[Rows], float | None]:
    def ratio(rows: Rows) -> float | None:
        rates = [rows.rate(name, place, s3.MEASURE) for name in (ours, plain)]
        return rates[0] / rates[1] if rates[0] and rates[1] else None

    return ratio


_SERVERS = ("Redis", "PostgreSQL")
_LANCE, _OWNED = "Lance", "Lance, own arrays"
_WEBDATASET, _LITDATA, _HF = "webdataset", "litdata", "HF datasets"
_ORDERED = ("batches of 256", "batches of 32", "single")

TARGETS = (
    Target("(a) batches of 256, over Lance", _over("a", _ORDERED[0], _LANCE), 2.0),
    Target("(a) batches of 256, over Lance, own arrays", _over("a", _ORDERED[0], _OWNED), 2.0),
    Target("(a) batches of 256, over webdataset", _over("a", _ORDERED[0], _WEBDATASET), 150),
    Target("(a) batches of 32, over Lance", _over("a", _ORDERED[1], _LANCE), 1.0),
    Target("(a) batches of 32, over Lance, own arrays", _over("a", _ORDERED[1], _OWNED), 1.0),
    Target("(a) batches of 32, over webdataset", _over("a", _ORDERED[1], _WEBDATASET), 80),
    Target("(a) single, over litdata", _over("a", "single", _LITDATA), 3),
    Target("(a) single, over webdataset", _over("a", "single", _WEBDATASET), 60),
    Target("(a) shuffled single, over litdata", _over("a", "shuffled single", _LITDATA), 2),
    Target("(a) shuffled batches, over litdata", _over("a", "shuffled batches", _LITDATA), 4),
    Target("(b) batches of 32, over the best peer", _over("b", _ORDERED[1], *PEERS), 2.0),
    Target("(b) batches of 32, over `readinto`", _over("b", _ORDERED[1], "limit"), 0.6),
    Target(
        "(b) shuffled batches, over the best peer's batches of 32 in order",
        _over("b", "shuffled batches", *PEERS, theirs=_ORDERED[1]),
        1.0,
    ),
    Target("(c) batches of 256, over webdataset", _over("c", _ORDERED[0], _WEBDATASET), 30),
    Target("(c) batches of 256, over HF datasets", _over("c", _ORDERED[0], _HF), 0.6),
    Target("(a) webdataset's shards, over our own", _own_over_foreign, 0.6),
    Target("(a) write, over litdata", _over("a", "write", _LITDATA), 1.2),
    Target("(a) write, on disk, over litdata", _over("a", "write, on disk", _LITDATA), 1.2),
    Target("(a) size of the files, of webdataset's", _sizes, 0.65, at_most=True),
    Target("(b) write, over webdataset", _over("b", "write", _WEBDATASET), 1.3),
    Target("(b) write, on disk, over webdataset", _over("b", "write, on disk", _WEBDATASET), 1.3),
    *(
        Target(f"16 x the data, {measure}: {title} of 1 x", _growth(measure, figure), 1.1, True)
        for measure in GROWN
        for title, figure in (("time a sample", "each"), ("peak memory", "peak"))
    ),
    *(
        Target(
            f"{name}, get by name with {LARGE_INDEX:,} datasets, of {index.SMALL}",
            _of_index(name, (LARGE_INDEX, index.GET), (index.SMALL, index.GET)),
            1.5,
            at_most=True,
        )
        for name in _SERVERS
    ),
    *(
        Target(
            f"{name}, an insert by itself, over one of 1,000 in one commit",
            _of_index(name, (index.SMALL, index.ONE_BY_ONE), (index.SMALL, index.AT_ONCE)),
            10,
        )
        for name in _SERVERS
    ),
    *(
        Target(f"{name}, ms for a page with {LARGE_INDEX:,} datasets", _page(name), 20, True)
        for name in _SERVERS
    ),
    Target("S3, reading over plain requests", _over_plain("s3", s3.OURS, s3.PLAIN), 0.5),
    Target("Blobs, reading over httpx", _over_plain("blobs", blobs.OURS, blobs.PLAIN), 0.7),
)
