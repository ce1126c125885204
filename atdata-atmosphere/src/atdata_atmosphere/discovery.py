"""Datasets across the network: a relay says who has published any, their servers say which."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from atdata.errors import AtdataError, CorruptDataError, InvalidNameError, LimitExceededError
from atdata_atmosphere.entry import AtmosphereIndexEntry
from atdata_atmosphere.listing import iterate_records
from atdata_atmosphere.network import Network
from atdata_atmosphere.records.collections import COLLECTIONS
from atdata_atmosphere.syntax import is_did

if TYPE_CHECKING:
    from atdata_atmosphere.client import AtmosphereClient

RELAY = "https://relay1.us-east.bsky.network"
MAX_REPOS = 10_000
MAX_RECORDS = 10_000
PAGE = 500
# Far more than there are publishers.
MAX_PAGES = 1000

Failed = Callable[[str, AtdataError], object]


class DiscoveryWarning(UserWarning):
    """Somebody's datasets could not be listed."""


@dataclass(frozen=True)
class Publisher:
    """Whoever has published datasets, and the position from which to go on behind them."""

    did: str
    position: str


def discover(
    client: AtmosphereClient | None = None,
    *,
    relay: str = RELAY,
    after: str | None = None,
    max_repos: int = MAX_REPOS,
    max_records: int = MAX_RECORDS,
    failed: Failed | None = None,
) -> Iterator[AtmosphereIndexEntry]:
    """Yield the datasets of all publishers that a relay knows, without a login.

    Of no more than ``max_repos`` publishers, and ``max_records`` of each. ``after`` is a position
    that ``publishers`` gave. A publisher whose server does not answer, or answers nonsense, is
    passed to ``failed`` with the error, or warned of. What is wrong with a record comes out when
    its entry is read.
    """
    known = client or Network.from_environment().client()
    for publisher in publishers(known, relay=relay, after=after, max_repos=max_repos):
        yield from datasets_of(known, publisher.did, max_records, failed)


def publishers(
    client: AtmosphereClient,
    *,
    relay: str = RELAY,
    after: str | None = None,
    max_repos: int = MAX_REPOS,
) -> Iterator[Publisher]:
    """Yield who has records of datasets, in any collection that holds them, each once."""
    origin = client.network.reach.origin(relay)
    return islice(_each_once(client, origin, after), max_repos)


def datasets_of(
    client: AtmosphereClient, did: str, limit: int = MAX_RECORDS, failed: Failed | None = None
) -> list[AtmosphereIndexEntry]:
    """Return the datasets of one publisher, none if they cannot be listed."""
    try:
        found = islice(iterate_records(client, "dataset", did), limit)
        return [AtmosphereIndexEntry(one.uri, one.value) for one in found]
    except AtdataError as error:
        (failed or _warn)(did, error)
        return []


def _warn(did: str, error: AtdataError) -> None:
    warnings.warn(f"datasets of {did} are left out: {error}", DiscoveryWarning, stacklevel=4)


def _each_once(client: AtmosphereClient, relay: str, after: str | None) -> Iterator[Publisher]:
    start, cursor, passed = _read_position(after)
    seen: set[str] = set()
    for number, collection in enumerate(COLLECTIONS["dataset"][start:], start):
        for page_cursor, dids in _pages(client, relay, collection, cursor):
            # Whoever was listed on this page before the position was dealt with already.
            fresh = dids[dids.index(passed) + 1 :] if passed in dids else dids
            passed = None
            for did in fresh:
                if did not in seen:
                    seen.add(did)
                    yield Publisher(did, json.dumps([number, page_cursor, did]))
        cursor = None


def _pages(
    client: AtmosphereClient, relay: str, collection: str, cursor: str | None
) -> Iterator[tuple[str | None, list[str]]]:
    seen = {cursor}
    for _ in range(MAX_PAGES):
        parameters = {"collection": collection, "limit": PAGE, "cursor": cursor}
        answer = client.query("com.atproto.sync.listReposByCollection", parameters, server=relay)
        dids = _dids(answer, relay)
        yield cursor, dids
        cursor = answer.get("cursor") or None
        if cursor is None:
            return
        if not isinstance(cursor, str) or cursor in seen or not dids:
            message = f"the relay {relay} lists {collection} in circles"
            raise CorruptDataError(message, relay=relay)
        seen.add(cursor)
    message = f"the relay {relay} lists more than {MAX_PAGES} pages of {collection}; ask another"
    raise LimitExceededError(message, relay=relay)


def _dids(answer: dict[str, Any], relay: str) -> list[str]:
    repos = answer.get("repos")
    if not isinstance(repos, list):
        raise CorruptDataError(f"the relay {relay} answers with no list of repos", relay=relay)
    dids = [repo.get("did") for repo in repos if isinstance(repo, dict)]
    return [did for did in dids if isinstance(did, str) and is_did(did)]


def _read_position(after: str | None) -> tuple[int, str | None, str | None]:
    if after is None:
        return 0, None, None
    try:
        number, cursor, did = json.loads(after)
        if not 0 <= number < len(COLLECTIONS["dataset"]) or not isinstance(cursor, str | None):
            raise ValueError
    except (ValueError, TypeError) as error:
        message = f"{after!r:.200} is no position in a discovery; begin without one"
        raise InvalidNameError(message, position=after) from error
    return number, cursor, did
