"""Runs the blocks of one page in this process and the current directory, and stops at a failure."""

from __future__ import annotations

import io
import linecache
import os
import re
import shlex
import subprocess
import sys
import tomllib
import traceback
from contextlib import redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, Example, OutputChecker
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from tests.documents.blocks import Block, blocks_of

INSTALL = "pip install -e "
KITS = "atdata-core[testing,cli]"
PROGRAMS = {"atdata": "atdata.cli", "pytest": "pytest"}


def main() -> None:
    """Run the page named on the command line."""
    run(Path(sys.argv[1]))


def run(page: Path) -> None:
    """Run every block of a page in one module's namespace."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    printed: str | None = None
    for block in blocks_of(page):
        if block.title is not None:
            _write(block.title, block.text)
        elif block.language == "python":
            printed = _run_python(block, module)
            continue
        elif block.language == "console":
            _run_console(block)
        elif block.language == "text":
            _compare(block, block.text, printed, block.line)
        printed = None


def _run_python(block: Block, module: ModuleType) -> str:
    # As many empty lines as are above it make tracebacks point into the page.
    source = "\n" * (block.line - 1) + block.text
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            exec(compile(source, str(block.page), "exec"), vars(module))
    except BaseException as error:  # noqa: BLE001 -- the example may fail in any way
        linecache.checkcache()
        _fail(block, _line_of(error, block), "".join(traceback.format_exception(error)))
    return output.getvalue()


def _run_console(block: Block) -> None:
    before, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    if before:
        _fail(block, block.line, "a console block starts with a command behind $")
    line = block.line
    for part in parts:
        command, _, expected = part.partition("\n")
        _compare(block, expected, _run_command(block, command, line), line)
        line += part.count("\n")


def _run_command(block: Block, command: str, line: int) -> str:
    if command.startswith(INSTALL):
        folder, *requirements = shlex.split(command.removeprefix(INSTALL))
        _install(Path(folder))
        if KITS not in requirements:
            # A reader's new environment has nothing that the page does not install.
            _fail(block, line, f"what tests a plugin is not installed: {KITS}")
        return ""
    program, *words = shlex.split(command)
    if program not in PROGRAMS:
        known = ", ".join([*PROGRAMS, f"`{INSTALL}FOLDER`"])
        _fail(block, line, f"only {known} are run, not {command!r}")
    whole = [sys.executable, "-m", PROGRAMS[program], *words]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode:
        _fail(block, line, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _install(project: Path) -> None:
    """Put a project on the path with the metadata that an editable installation writes."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = table["name"], table["version"]
    lines = [f"{key} = {value}" for key, value in table["entry-points"]["atdata"].items()]
    requires = "".join(f"Requires-Dist: {one}\n" for one in table["dependencies"])
    source = project / "src"
    folder = source / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    _write(folder / "METADATA", metadata)
    _write(folder / "entry_points.txt", "\n".join(["[atdata]", *lines]))
    sys.path.insert(0, str(source.absolute()))
    # For the programs that are run after it.
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ["PYTHONPATH"]])


def _write(path: str | Path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def _compare(block: Block, expected: str, printed: str | None, line: int) -> None:
    if printed is None:
        _fail(block, line, "a text block shows what the python block right above it prints")
    checker, flags = OutputChecker(), ELLIPSIS | NORMALIZE_WHITESPACE
    if not checker.check_output(expected, printed, flags):
        _fail(block, line, checker.output_difference(Example("", expected), printed, flags))


def _line_of(error: BaseException, block: Block) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or block.line
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(block.page)]
    return next((line for line in reversed(lines) if line), block.line)


def _fail(block: Block, line: int, reason: str) -> NoReturn:
    sys.stdout.flush()
    sys.exit(f"{block.page.name}, line {line}: {reason}")


if __name__ == "__main__":
    main()
