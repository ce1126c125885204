"""``atdata copy``: a dataset from one index to another."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from atdata import plugins
from atdata.cli.datasets import listing_row, summary
from atdata.cli.indexes import INDEX_FORMS, Allow, Store, open_index, open_new
from atdata.cli.output import AsJson, print_facts, print_json

_ELSEWHERE = re.compile(r"at://|@(?!local/)")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@REVISION]", help="A dataset; @handle/name is one of the network."
    ),
]


def copy(  # noqa: PLR0913, PLR0917 -- each is an option of the command
    context: typer.Context,
    name: Name,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="INDEX", help=f"Where it is: {INDEX_FORMS}."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--to", metavar="INDEX", help="Where it goes, in the same forms."),
    ] = None,
    shards: Annotated[
        bool, typer.Option("--shards", help="Copy the shards too, into the store of the target.")
    ] = False,
    store: Store = None,
    history: Annotated[
        bool, typer.Option("--history", help="Copy all revisions, not the newest alone.")
    ] = False,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Copy a dataset to another index, with its schema.

    Without --from or --to that side is the index that other commands look at. What is there
    already is left as it is. A copy that was interrupted goes on when it is started again.
    """
    if store is not None and not shards:
        raise typer.BadParameter("--store says where --shards go; give both", ctx=context)
    if _ELSEWHERE.match(name):
        with open_new(target or context.obj, store, allow) as receiver:
            found = receiver.copy_from(_network(name), name, shards=shards)
    else:
        with open_index(source or context.obj, allow=allow) as giver:
            # A name that is mistyped makes no new index.
            giver.get_dataset(name)
            with open_new(target or context.obj, store, allow) as receiver:
                found = giver.copy_to(receiver, name, shards=shards, history=history)
    if as_json:
        print_json(summary(found))
    else:
        print_facts(listing_row(summary(found)))


def _network(name: str) -> Any:
    """Return the index that a reference to somebody's dataset leads to."""
    resolve: Any = plugins.load("authority", "at" if name.startswith("at:") else "@")
    return resolve(name)
