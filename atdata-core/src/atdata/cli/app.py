"""The commands together, and what becomes of their errors: one line, and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from functools import cached_property
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from atdata.cli import (
    INTERRUPTED,
    cleaning,
    copying,
    datasets,
    demo,
    doctor,
    extensions,
    head,
    plugins,
    schemas,
    verify,
)
from atdata.cli.indexes import INDEX_FORMS
from atdata.cli.output import complain
from atdata.errors import (
    AtdataError,
    InvalidNameError,
    NoDataFilesError,
    NotFoundError,
    ShardNotFoundError,
    SplitNotFoundError,
)
from atdata.plugins.installed import CORE

FAILED = 1
MISUSED = 2
NOT_FOUND = 3
UNREAD = 141

_NOT_FOUND_ERRORS = (NotFoundError, NoDataFilesError, ShardNotFoundError, SplitNotFoundError)

_EPILOG = (
    "Exit codes: 0 done; 1 failed, or something verified is not as it should be; 2 wrong usage; "
    "3 no such dataset, schema, split or file; 130 interrupted; 141 the reader of a pipe went away."
)


class Commands(TyperGroup):
    """Core's commands, and those of plugins, which are loaded only for help and unknown names."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, core's own before any other."""
        return super().get_command(ctx, cmd_name) or self._added.get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, core's own first."""
        return [*super().list_commands(ctx), *self._added]

    @cached_property
    def _added(self) -> dict[str, Any]:
        found, problems = extensions.load_commands(self.commands)
        for problem in problems:
            complain(problem)
        return found


# Without rich's boxes help is the same in a pipe; tracebacks with variables might show secrets.
app = typer.Typer(
    cls=Commands,
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(datasets.ls)
app.command()(datasets.show)
app.command()(head.head)
app.command()(verify.verify)
app.command()(copying.copy)
app.command()(cleaning.gc)
app.command()(doctor.doctor)
app.add_typer(schemas.app, name="schema")
app.add_typer(plugins.app, name="plugins")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"atdata {CORE.version}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _choose_index(
    context: typer.Context,
    index: Annotated[
        str | None,
        typer.Option(
            envvar="ATDATA_INDEX",
            help=f"The index, in place of ~/.atdata/index.db: {INDEX_FORMS}.",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Look after typed datasets: list, show, read and verify them."""
    context.obj = index
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    warnings.showwarning = lambda message, *_, **__: complain(str(message))
    # Python has no stream where a service was started with one closed.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 -- for good
    try:
        # Names may hold what the terminal's encoding does not. This writes what waits, too.
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        code = _run(arguments)
        sys.stdout.flush()
    except OSError as error:
        _close_output()
        if isinstance(error, BrokenPipeError):
            return UNREAD
        complain(str(error))
        return FAILED
    return code


def _close_output() -> None:
    """Let what is left of the output go nowhere; the interpreter flushes once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("atdata", arguments) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.TyperException as error:
        complain(f"{error.format_message()} (`{_help_for(error)}` tells more)")
        return error.exit_code
    except AtdataError as error:
        complain(str(error))
        return _exit_code(error)
    return 0


def _help_for(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'atdata'} --help"


def _exit_code(error: AtdataError) -> int:
    # First, as a name that nothing can have is both.
    if isinstance(error, InvalidNameError):
        return MISUSED
    return NOT_FOUND if isinstance(error, _NOT_FOUND_ERRORS) else FAILED
