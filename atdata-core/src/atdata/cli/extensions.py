"""Commands of plugins, each built on its own, so that none can break or replace another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import typer
from typer.models import CommandInfo, TyperInfo

from atdata import plugins
from atdata.plugins.installed import FAILURES, summary


def load_commands(taken: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the commands of plugins by name, and a sentence for each that cannot be used.

    Plugins that fail before they have registered any are warned of.
    """
    # Not the real one, which a plugin could change in any way.
    app = typer.Typer()
    plugins.register_commands(app)
    problems: list[str] = []
    commands: dict[str, Any] = {}
    for name, command in _build(app, problems):
        if name in taken or name in commands:
            problems.append(f"the command {name!r} of a plugin is not used: there is one already")
        else:
            commands[name] = command
    return commands, problems


def _build(app: typer.Typer, problems: list[str]) -> Iterator[tuple[str, Any]]:
    parts: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for part in parts:
        alone = typer.Typer(rich_markup_mode=None)
        if isinstance(part, TyperInfo):
            alone.registered_groups.append(part)
        else:
            alone.registered_commands.append(part)
        try:
            yield from typer.main.get_group(alone).commands.items()
        except FAILURES as error:
            name = part.name or getattr(part.callback, "__name__", None)
            problems.append(f"the command {name!r} of a plugin is not used: {summary(error)}")
