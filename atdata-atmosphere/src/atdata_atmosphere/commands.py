"""Commands that log in, publish, and bring what others published to this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from atdata.cli.output import print_line
from atdata_atmosphere.client import AtmosphereClient

PASSWORD_VARIABLE = "ATPROTO_APP_PASSWORD"  # noqa: S105 -- the name of a variable


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(login)


def login(
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="Your handle, such as a.org.")],
) -> None:
    """Log in with an app password, from ATPROTO_APP_PASSWORD or a prompt; keep the session."""
    password = os.environ.get(PASSWORD_VARIABLE) or typer.prompt("App password", hide_input=True)
    client = _client()
    client.login(handle.removeprefix("@"), password)
    path = client.save_session()
    print_line(f"logged in as {client.handle} ({client.did}); the session is in {path}")


def _client() -> AtmosphereClient:
    from atdata_atmosphere.network import Network

    return Network.from_environment().client()
