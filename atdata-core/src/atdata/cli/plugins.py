"""``atdata plugins``: what core and plugins offer."""

from __future__ import annotations

from typing import Any, get_args

import typer

from atdata import plugins
from atdata.cli.doctor import doctor
from atdata.cli.output import AsJson, print_json, print_table
from atdata.plugins import Registration

app = typer.Typer(help="List and check backends and other plugins.", rich_markup_mode=None)
# Another name of it.
app.command("doctor")(doctor)


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List what core and plugins offer."""
    kinds = get_args(plugins.Kind)
    rows = [_registration_row(one) for kind in kinds for one in plugins.names(kind)]
    print_json(rows) if as_json else print_table(rows)


def _registration_row(one: Registration) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "target": one.import_string,
        "distribution": str(one.plugin),
    }
