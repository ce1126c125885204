"""The ``atdata`` command: its entry point, which answers ``--version`` before loading the rest."""

from __future__ import annotations

import sys
from contextlib import suppress

from atdata.plugins.installed import CORE

INTERRUPTED = 130


def main() -> int:
    """Run the command line on the arguments of the process, and return the exit code."""
    if sys.argv[1:2] == ["--version"]:
        # Where nothing can be printed, what follows says so.
        with suppress(OSError):
            print(f"atdata {CORE.version or '(not installed)'}", flush=True)
            return 0
    try:
        # typer and rich cost 100 ms, and come with an extra only.
        from atdata.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sentence = f"{error.name} is not installed; pip install 'atdata-core[cli]'"
        print(f"atdata: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return run(sys.argv[1:])
