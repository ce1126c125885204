"""Records of a kind, of every generation, in one repository, in pages that come to an end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from atdata.errors import CorruptDataError, LimitExceededError
from atdata_atmosphere.records.collections import COLLECTIONS, Kind, kind_of

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.repository import RepoRecord

PAGE = 100
MAX_PAGES = 10_000


def iterate_records(
    client: AtmosphereClient, kind: Kind, repo: str | None = None
) -> Iterator[RepoRecord]:
    """Yield the records of a kind, by default the client's own, newest first in each collection.

    Pages are fetched as the iteration comes to them. What is in a collection of ours and calls
    itself something else is passed over.
    """
    for collection in COLLECTIONS[kind]:
        for found in iterate_collection(client, collection, repo):
            if kind_of(found.value.get("$type")) == kind:
                yield found


def iterate_collection(
    client: AtmosphereClient, collection: str, repo: str | None = None
) -> Iterator[RepoRecord]:
    """Yield the records of one collection.

    Raises:
        CorruptDataError: the server lists the same page again and again.
        LimitExceededError: it has more pages than anybody has records.
    """
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page, cursor = client.list_entries(collection, repo=repo, limit=PAGE, cursor=cursor)
        yield from page
        if cursor is None:
            return
        if cursor in seen:
            message = f"the server of {repo or 'this account'} lists {collection} in circles"
            raise CorruptDataError(message, collection=collection, cursor=cursor)
        seen.add(cursor)
    message = f"{collection} of {repo or 'this account'} has more than {MAX_PAGES * PAGE} records"
    raise LimitExceededError(f"{message}; read it by AT URI", collection=collection)


def first_values(
    client: AtmosphereClient, kind: Kind, repo: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the first records of a kind."""
    return [found.value for found in islice(iterate_records(client, kind, repo), limit)]
