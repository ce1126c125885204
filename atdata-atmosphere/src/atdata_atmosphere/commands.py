"""Commands that log in, publish, and bring what others published to this machine.

What they use takes a quarter of a second to import, and `atdata --help` loads this module, so they
import it themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atdata.cli.indexes import open_index, open_new
from atdata.cli.output import (
    AsJson,
    complain,
    print_facts,
    print_json,
    print_line,
    print_table,
    progress_bar,
)
from atdata.errors import AuthenticationError, CorruptDataError

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.entry import AtmosphereIndexEntry
    from atdata_atmosphere.index import AtmosphereIndex
    from atdata_atmosphere.mirroring import MirrorReport

PASSWORD_VARIABLE = "ATPROTO_APP_PASSWORD"  # noqa: S105 -- the name of a variable

Handle = Annotated[str, typer.Argument(metavar="HANDLE", help="Your handle, such as a.org.")]
Name = Annotated[str, typer.Argument(metavar="NAME[@REVISION]", help="A dataset of the index.")]
Reference = Annotated[
    str, typer.Argument(metavar="@HANDLE/NAME|at://...", help="A published dataset.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (login, publish, pull, mirror, find):
        app.command()(command)


def login(handle: Handle) -> None:
    """Log in with an app password, from ATPROTO_APP_PASSWORD or a prompt; keep the session."""
    from atdata_atmosphere.network import Network

    password = os.environ.get(PASSWORD_VARIABLE) or typer.prompt("App password", hide_input=True)
    client = Network.from_environment().client()
    client.login(handle.removeprefix("@"), password)
    path = client.save_session()
    print_line(f"logged in as {client.handle} ({client.did}); the session is in {path}")


def publish(  # noqa: PLR0913 -- each is an option
    context: typer.Context,
    name: Name,
    *,
    as_name: Annotated[str | None, typer.Option("--as", help="What to call it.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="To be found by; repeatable.")] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="An SPDX identifier, or a URL.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Publish where the shards lie, not in blobs.")
    ] = False,
) -> None:
    """Publish a dataset with its samples, for everybody and for good."""
    from atdata_atmosphere.blobs import PDSBlobStore
    from atdata_atmosphere.promotion import promote_to_atmosphere

    client = _logged_in()
    with open_index(context.obj) as index, progress_bar() as progress:
        entry = index.get_dataset(name)
        task = progress.add_task("uploaded", total=None)
        store = PDSBlobStore(client, progress=lambda shard: progress.advance(task, shard.bytes))
        uri = promote_to_atmosphere(
            entry,
            index,
            client,
            data_store=None if in_place else store,
            name=as_name,
            description=description,
            tags=tag,
            license=license_,
        )
    print_line(uri)


def pull(
    context: typer.Context,
    reference: Reference,
    as_name: Annotated[str | None, typer.Option("--as", help="What to call it here.")] = None,
) -> None:
    """Copy a published dataset, samples and all, into the index."""
    from atdata.dataset.loading import load_dataset
    from atdata_atmosphere.mirroring import KEY

    network = _network()
    entry = network.get_dataset(reference)
    splits = load_dataset(entry.uri, index=network)
    [*datasets] = splits.values()
    samples: Any = splits if len(datasets) > 1 or _has_splits(entry) else datasets[0]
    metadata = {**(entry.metadata or {}), "pulled_from": entry.uri}
    # Only a mirror writes this.
    metadata.pop(KEY, None)
    with open_new(context.obj) as index:
        written = index.write(samples, name=as_name or entry.name, metadata=metadata)
    print_line(f"{written.name}: revision {written.revision} in {len(written.data_urls)} shards")


def mirror(
    context: typer.Context,
    repos: Annotated[
        list[str] | None, typer.Argument(metavar="[@HANDLE...]", help="Whom to follow.")
    ] = None,
    relay: Annotated[str | None, typer.Option(help="Who knows whom there is.")] = None,
    max_repos: Annotated[int, typer.Option(help="How many to follow at most.")] = 10_000,
) -> None:
    """Follow publishers, or all that a relay knows, into the index; `atdata find` searches it."""
    from atdata_atmosphere.discovery import RELAY
    from atdata_atmosphere.mirroring import mirror as follow
    from atdata_atmosphere.network import Network
    from atdata_atmosphere.positions import read_position, write_position

    client = Network.from_environment().client()
    known_by = relay or RELAY
    named = [repo.removeprefix("@") for repo in repos] if repos else None
    after = None if named else read_position(known_by)

    def keep(report: MirrorReport) -> None:
        if named is None:
            write_position(known_by, report.position)

    with open_new(context.obj) as index:
        report = follow(
            index,
            client,
            repos=named,
            relay=known_by,
            after=after,
            max_repos=max_repos,
            progress=keep,
        )
    if named is None and report.is_complete:
        write_position(known_by, None)
    for subject, reason in report.failures.items():
        complain(f"left out {subject}: {reason}")
    print_line(f"{report.added} new, {report.known} known, {len(report.failures)} left out")


def find(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="Part of a name or description.")] = None,
    *,
    tag: Annotated[str | None, typer.Option(help="A tag it has.")] = None,
    field: Annotated[str | None, typer.Option(help="A field its samples have.")] = None,
    publisher: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search what was mirrored, without the network."""
    from atdata_atmosphere.mirroring import KEY, search

    with open_index(context.obj) as index:
        found = list(search(index, text, tag=tag, field=field, publisher=publisher))
    said: list[dict[str, Any]] = [(entry.metadata or {})[KEY] for entry in found]
    if as_json:
        print_json(said)
    elif said:
        print_table([_found_row(one) for one in said])
    else:
        complain("nothing that was mirrored fits")


def list_published(publisher: str, *, as_json: bool) -> None:
    """List what somebody has published; `atdata ls @HANDLE` does this."""
    index = _network()
    found = list(_readable(index.iterate_datasets(publisher.removeprefix("@"))))
    if as_json:
        print_json(found)
    elif found:
        print_table(
            [{key: one[key] for key in ("name", "samples", "bytes", "uri")} for one in found]
        )
    else:
        complain(f"{publisher} has published no datasets")


def show_published(reference: str, *, as_json: bool) -> None:
    """Show one published dataset; `atdata show at://...` does this."""
    index = _network()
    entry = index.get_dataset(reference)
    described = {**_described(entry), "urls": entry.data_urls, "metadata": entry.metadata}
    if as_json:
        print_json(described)
        return
    urls = described.pop("urls")
    shown = {key: value for key, value in described.items() if value not in (None, [], {})}
    print_facts(
        {key: value if isinstance(value, int) else str(value) for key, value in shown.items()}
    )
    print_line()
    print_table([{"url": url} for url in urls])


def _readable(entries: Iterable[AtmosphereIndexEntry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        try:
            yield _described(entry)
        except CorruptDataError as error:
            # The others are worth showing.
            complain(f"left out: {error}")


def _described(entry: AtmosphereIndexEntry) -> dict[str, Any]:
    size = entry.parsed.size
    return {
        "name": entry.name,
        "uri": entry.uri,
        "publisher": entry.publisher,
        "schema": entry.schema_ref,
        "description": entry.description,
        "tags": entry.tags,
        "license": entry.license,
        "created": entry.created_at,
        "samples": size.get("samples"),
        "bytes": size.get("bytes"),
    }


def _found_row(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": said.get("name"),
        "publisher": said.get("handle") or said.get("publisher"),
        "tags": ", ".join(said.get("tags") or ()),
        "fields": ", ".join(said.get("fields") or ()),
        "uri": said.get("uri"),
    }


def _has_splits(entry: AtmosphereIndexEntry) -> bool:
    return any(shard.split for shard in entry.shards or ())


def _network() -> AtmosphereIndex:
    from atdata_atmosphere.authority import open_network

    return open_network("")


def _logged_in() -> AtmosphereClient:
    from atdata_atmosphere.client import AtmosphereClient

    client = AtmosphereClient.from_env()
    if not client.is_authenticated:
        raise AuthenticationError("nobody is logged in; `atdata login HANDLE` does that")
    return client
