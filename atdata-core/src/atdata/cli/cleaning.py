"""``atdata gc``: what killed writers left, listed or removed."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict
from typing import Annotated

import typer

from atdata.cli.indexes import Store, open_index
from atdata.cli.output import AsJson, complain, print_json, print_table
from atdata.dataset.url import redacted
from atdata.index.leftovers import SHORTEST_SILENCE, Leftovers

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List them, remove nothing.")] = False,
    older_than: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long a writer on another machine is silent before it counts as dead, "
            "such as 90m, 12h or 7d.",
        ),
    ] = "1d",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Remove what killed writers left in the store of the index, while others write.

    Only what was begun through this index is looked at. Shards of datasets stay, also of deleted
    ones.
    """
    silence = _to_silence(older_than)
    with open_index(context.obj, store) as index:
        act = index.find_leftovers if dry_run else index.delete_leftovers
        seen = act(older_than=silence)
    if as_json:
        print_json({"removed": not dry_run, **asdict(seen)})
    else:
        _print(seen)


def _to_silence(text: str) -> dt.timedelta:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    silence = dt.timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else dt.timedelta()
    if silence < SHORTEST_SILENCE:
        raise typer.BadParameter(f"--older-than is 1h or more, such as 12h or 7d, not {text!r}")
    return silence


def _print(seen: Leftovers) -> None:
    if seen.found:
        print_table([{"kind": one.kind, "url": redacted(one.url)} for one in seen.found])
    else:
        complain("there are no leftovers")
    if seen.at_work:
        complain(f"{seen.at_work} writes are still under way, or may be: they are left alone")
    for store in seen.elsewhere:
        complain(f"killed writers also wrote to {store:.300}; look there with --store")
    for one in seen.unproven:
        complain(
            f"{redacted(one.url)} stays: the record of its unfinished write is forged or of an "
            "earlier release; remove it yourself if nobody needs it"
        )
    if seen.unreadable:
        complain(f"{len(seen.unreadable)} records of the index cannot be read: see the warnings")
