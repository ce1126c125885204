"""Many small samples pass through in bounded memory, written from a generator and read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np
from atdata import Dataset, LocalDiskStore
from tests.peak_memory import peak_megabytes
from tests.sample_types import Item

task, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = LocalDiskStore(root)
if task == "write":
    values = np.zeros(4, np.float32)
    samples = (Item(number, "text", values) for number in range(count))
    assert sum(shard.count for shard in store.write_samples(samples, prefix="many")) == count
else:
    ds = Dataset[Item](list(store.list()))
    pipeline = {
        "one by one": ds,
        "in batches": (one for batch in ds.ordered(batch_size=256) for one in batch.number),
        "shuffled": ds.shuffled(seed=1),
    }[task]
    assert sum(1 for _ in pipeline) == count
print(peak_megabytes())
"""
TASKS = ("write", "one by one", "in batches", "shuffled")


@pytest.mark.parametrize(
    "count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_many_samples_stay_under_300_megabytes(count: int, tmp_path: Path) -> None:
    peaks = {}
    for task in TASKS:
        command = [sys.executable, "-c", SCRIPT, task, str(tmp_path), str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks[task] = int(done.stdout)
    assert max(peaks.values()) < 300, peaks
