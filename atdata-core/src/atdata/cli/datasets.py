"""``atdata ls`` and ``atdata show``: what the index knows of its datasets."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from atdata import plugins
from atdata.cli.indexes import open_index
from atdata.cli.output import AsJson, complain, print_facts, print_json, print_line, print_table
from atdata.cli.schemas import field_rows, short_ref
from atdata.dataset.url import redacted
from atdata.errors import AtdataError
from atdata.index import Index, LocalDatasetEntry

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@REVISION]", help="A dataset of the index, or @HANDLE/NAME or at://... ."
    ),
]
Publisher = Annotated[
    str | None, typer.Argument(metavar="@HANDLE", help="Whose published datasets to list.")
]

_PUBLISHED = re.compile(r"@(?!local/)|at://|atdata://(?!local/)")


def ls(context: typer.Context, publisher: Publisher = None, as_json: AsJson = False) -> None:
    """List the datasets, each in its newest revision, or those that somebody has published."""
    if publisher is not None:
        plugins.official_module("atdata-atmosphere").list_published(publisher, as_json=as_json)
        return
    with open_index(context.obj) as index:
        found = [summary(entry) for entry in index.datasets]
    if as_json:
        print_json(found)
    elif found:
        print_table([listing_row(one) for one in found])
    else:
        complain("there are no datasets in this index yet")


def show(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show one dataset: fields, shards, metadata and history."""
    if _PUBLISHED.match(name):
        plugins.official_module("atdata-atmosphere").show_published(name, as_json=as_json)
        return
    with open_index(context.obj) as index:
        details = _details(index, index.get_dataset(name))
    if as_json:
        print_json(details)
    else:
        _print_details(details)


def summary(entry: LocalDatasetEntry) -> dict[str, Any]:
    """Return what a listing says of an entry; None is what the index does not know."""
    shards = entry.shards
    return {
        "name": entry.name,
        "revision": entry.revision,
        "samples": None if shards is None else sum(shard.count for shard in shards),
        "shards": None if shards is None else len(shards),
        "bytes": None if shards is None else sum(shard.bytes for shard in shards),
        "schema": entry.schema_ref,
        "created": entry.created_at,
    }


def listing_row(one: dict[str, Any]) -> dict[str, Any]:
    """Shorten a summary to what fits a line."""
    return {**one, "schema": short_ref(one["schema"]), "created": (one["created"] or "-")[:16]}


def shard_rows(entry: LocalDatasetEntry) -> list[dict[str, Any]]:
    """Return what is known of each shard; of those not written by atdata, the URL."""
    if entry.shards is None:
        return [{"url": redacted(url)} for url in entry.data_urls]
    return [
        {
            "url": redacted(shard.url),
            "split": shard.split,
            "samples": shard.count,
            "bytes": shard.bytes,
            "sha256": shard.sha256,
        }
        for shard in entry.shards
    ]


def _details(index: Index, entry: LocalDatasetEntry) -> dict[str, Any]:
    history = [{**summary(past), "cid": past.cid} for past in index.history(entry.name)]
    return {
        **summary(entry),
        "cid": entry.cid,
        "content_cid": entry.content_cid,
        "foreign": entry.foreign,
        "metadata": entry.metadata,
        **_fields(index, entry.schema_ref),
        "shard_list": shard_rows(entry),
        "history": history,
    }


def _fields(index: Index, ref: str) -> dict[str, Any]:
    try:
        return {"fields": field_rows(index.get_schema_record(ref)), "schema_problem": None}
    except AtdataError as error:
        # The rest of the entry is worth showing.
        return {"fields": [], "schema_problem": str(error)}


def _print_details(details: dict[str, Any]) -> None:
    details = dict(details)
    tables = {name: details.pop(name) for name in ("fields", "shard_list", "history")}
    metadata = details["metadata"]
    details["foreign"] = "yes: only what is public is opened" if details["foreign"] else None
    details["metadata"] = None if metadata is None else json.dumps(metadata, ensure_ascii=False)
    print_facts({name: value for name, value in details.items() if value is not None})
    for name, rows in tables.items():
        if rows:
            print_line()
            print_table([_history_row(row) for row in rows] if name == "history" else rows, name)


def _history_row(past: dict[str, Any]) -> dict[str, Any]:
    return {name: listing_row(past)[name] for name in ("revision", "samples", "created", "cid")}
