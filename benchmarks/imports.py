"""What importing costs, beyond numpy, which everybody has imported anyway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.launch import environment
from benchmarks.rows import Row

MODULES = ("atdata", "webdataset", "litdata", "datasets", "lance")
_PROGRAM = """
import time
import numpy
start, cpu = time.perf_counter(), time.process_time()
import {module}
print(time.perf_counter() - start, time.process_time() - cpu)
"""
_TIMES = 5


def measure(home: Path) -> Iterator[Row]:
    """Yield rows of seconds, each from a fresh process, after one that fills bytecode caches."""
    for module in MODULES:
        for number in range(_TIMES + 1):
            command = [sys.executable, "-c", _PROGRAM.format(module=module)]
            done = subprocess.run(
                command, env=environment(home), capture_output=True, text=True, check=False
            )
            if done.returncode:
                yield Row(module, "import", "import", error="not installed")
                break
            if number:
                seconds, cpu = map(float, done.stdout.split()[-2:])
                yield Row(module, "import", "import", 1, seconds, cpu)
