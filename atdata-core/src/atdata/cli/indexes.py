"""Which index and which store a command works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from atdata import plugins
from atdata.dataset.url import redacted
from atdata.errors import InvalidNameError, NotFoundError
from atdata.home import home
from atdata.index import Index
from atdata.index.default import open_own
from atdata.stores import DataStore, LocalDiskStore

INDEX_FORMS = "a file, sqlite:///FILE, postgresql://..., redis://..."

Store = Annotated[
    str | None,
    typer.Option(metavar="FOLDER|s3://BUCKET/PREFIX", help="Where the index's shards go."),
]

Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="URL/", help="Open URLs that begin so, whoever named them; repeatable."),
]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SQLITE = "sqlite:///"
# The other form of an address of PostgreSQL: words like host=..., a password perhaps among them.
_KEYWORDS = re.compile(r"\s*(?:host|hostaddr|port|dbname|user|password|service)\s*=")
# Which argument of Index takes a URL of which scheme.
_ARGUMENTS = {
    "postgresql": "dsn",
    "postgres": "dsn",
    "redis": "url",
    "rediss": "url",
    "unix": "url",
}


def open_index(
    where: str | None, store: str | None = None, allow: Sequence[str] | None = None
) -> Index:
    """Open the index at a path or URL, or the user's own; a missing file is not made."""
    if where is None:
        return open_new(None, store, allow) if (home() / "index.db").exists() else Index()
    path = _to_options(where).get("path")
    if path is not None and not path.exists():
        sentence = f"there is no index at {path}; Index(path=...) makes one"
        raise NotFoundError(sentence, path=path)
    return open_new(where, store, allow)


def open_new(
    where: str | None, store: str | None = None, allow: Sequence[str] | None = None
) -> Index:
    """Open the index at a path or URL, or the user's own, which is made if it is missing."""
    data_store = None if store is None else open_store(store)
    allowed = allow or ()
    if where is not None:
        return Index(**_to_options(where), data_store=data_store, allow=allowed)
    return open_own(data_store, allowed)


def open_store(where: str) -> DataStore:
    """Open the store in a folder or bucket; the bucket's keys are found as its SDK does."""
    match = _SCHEME.match(where)
    if match is None:
        return LocalDiskStore(where)
    if match[1].lower() != "s3":
        message = f"{redacted(where)!r:.300} is no store; give a folder or s3://BUCKET/PREFIX"
        raise InvalidNameError(message)
    kind: Any = plugins.load("data store", "s3")
    bucket = urlsplit(where)
    store: DataStore = kind(bucket=bucket.netloc, prefix=bucket.path.strip("/"))
    return store


def _to_options(where: str) -> dict[str, Any]:
    """Return the arguments of ``Index`` that a path or URL means."""
    if where.lower().startswith(_SQLITE):
        return {"path": Path(where[len(_SQLITE) :])}
    if _KEYWORDS.match(where):
        return {"dsn": where}
    match = _SCHEME.match(where)
    if match is None:
        return {"path": Path(where)}
    argument = _ARGUMENTS.get(match[1].lower())
    if argument is None:
        message = f"{redacted(where)!r:.300} is no index; give {INDEX_FORMS}"
        raise InvalidNameError(message)
    return {argument: where}
