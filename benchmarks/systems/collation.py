"""Making a batch of samples, for the libraries that leave it to torch's ``DataLoader``.

torch's own collation is not used: it delivers tensors, and where its threads are slow to start it
is up to a hundred times slower than this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Field, Values, Workload


def collation(workload: Workload) -> Callable[[list[Values]], Values]:
    """Return what stacks arrays of one shape, and lists everything else."""

    def collate(samples: list[Values]) -> Values:
        return {
            field.name: _column(field, [sample[field.name] for sample in samples])
            for field in workload.fields
        }

    return collate


def _column(field: Field, values: list[Any]) -> Any:
    return np.stack(values) if field.shape else values
