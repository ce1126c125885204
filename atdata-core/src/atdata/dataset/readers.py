"""Who reads which part of a dataset: ranks of a training job, and workers of each rank."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Reader:
    """One of so many readers among which the shards are divided: a worker of a rank."""

    index: int
    count: int


# Who reads everything.
ALONE = Reader(0, 1)


class Rank(NamedTuple):
    """A process of a training job, and how many there are."""

    rank: int
    ranks: int


def check_rank(rank: int | None, ranks: int | None) -> Rank | None:
    """Return the rank that a caller gives, None for none; ``ValueError`` if there is none such."""
    if rank is None and ranks is None:
        return None
    if rank is None or ranks is None:
        raise ValueError("rank and ranks go together; give both, or neither")
    if not 0 <= rank < ranks:
        raise ValueError(f"there is no rank {rank} of {ranks}; ranks are numbered from 0")
    return Rank(rank, ranks)


def find_reader(given: Rank | None, carried: Rank | None) -> Reader:
    """Find out which reader this is: a worker of torch's ``DataLoader``, on a rank.

    A rank that was given counts first, then what ``torch.distributed`` says in this process, then
    what it said in the process that made this one (``carried``), and last ``RANK`` and
    ``WORLD_SIZE``. Torch is asked only where it is in use, and never imported for it.
    """
    rank, ranks = given or distributed_rank() or carried or _announced_rank() or Rank(0, 1)
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data is not None else None
    worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
    return Reader(rank * workers + worker, ranks * workers)


def distributed_rank() -> Rank | None:
    """Return the rank that ``torch.distributed`` has given to this process, if it has."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Rank(distributed.get_rank(), distributed.get_world_size())


def _announced_rank() -> Rank | None:
    """Return the rank that launchers such as torchrun announce in the environment."""
    rank, ranks = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if not rank or not ranks:
        return None
    if not (rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)):
        raise ValueError(
            f"RANK={rank!r:.40} and WORLD_SIZE={ranks!r:.40} do not name one of several "
            "processes; correct them, or give rank= and ranks="
        )
    return Rank(int(rank), int(ranks))
