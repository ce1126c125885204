"""Fresh processes for the price of a fork: a server that has imported everything makes them.

They hold nothing of what a test has opened or set, but for the working directory and environment.
An interpreter that starts by itself imports for a second of CPU time before it does anything.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

_PATIENCE = 300.0

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["tests.preloaded"])


class Script:
    """Python code in a process of its own, which is talked to as ``subprocess.Popen`` is."""

    def __init__(self, code: str, *arguments: object) -> None:
        """Start it; the arguments are its ``sys.argv[1:]``, as text."""
        child_in, our_in = FRESH.Pipe(duplex=False)
        our_out, child_out = FRESH.Pipe(duplex=False)
        words = ["-c", *map(str, arguments)]
        place = (os.getcwd(), dict(os.environ))
        self._process = FRESH.Process(
            target=_execute, args=(code, words, place, child_in, child_out), daemon=True
        )
        self._process.start()
        child_in.close()
        child_out.close()
        with our_in, our_out:
            self.stdin = _text(os.dup(our_in.fileno()), "w")
            self.stdout = _text(os.dup(our_out.fileno()), "r")

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def communicate(self) -> tuple[str, None]:
        """Close its input, and return what is left of its output, once it has ended."""
        self.stdin.close()
        with self.stdout:
            rest = self.stdout.read()
        self.wait()
        return rest, None


def run_main(
    main: Callable[[], int], words: list[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the entry point of a program as if it were called by its name with these words."""
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name, "stdout"), Path(name, "stderr")
        place = (os.getcwd(), dict(environment))
        process = FRESH.Process(target=_call, args=(main, words, place, outputs))
        process.start()
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{words} took more than {_PATIENCE:.0f} seconds")
        stdout, stderr = (output.read_text(encoding="utf-8") for output in outputs)
    return subprocess.CompletedProcess(words, process.exitcode, stdout, stderr)


def _execute(
    code: str, words: list[str], place: tuple[str, dict[str, str]], child_in: Any, child_out: Any
) -> None:
    _settle(words, place)
    os.dup2(child_in.fileno(), 0)
    os.dup2(child_out.fileno(), 1)
    child_in.close()
    child_out.close()
    sys.stdin, sys.stdout = _text(0, "r"), _text(1, "w")
    exec(compile(code, "-c", "exec"), {"__name__": "__main__"})


def _call(
    main: Callable[[], int],
    words: list[str],
    place: tuple[str, dict[str, str]],
    outputs: tuple[Path, Path],
) -> None:
    _settle(words, place)
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = _text(1, "w"), _text(2, "w")
    sys.exit(main())


def _settle(words: list[str], place: tuple[str, dict[str, str]]) -> None:
    folder, environment = place
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = words


def _text(descriptor: int, mode: Literal["r", "w"]) -> TextIO:
    return open(descriptor, mode, encoding=os.environ.get("PYTHONIOENCODING", "utf-8"))
