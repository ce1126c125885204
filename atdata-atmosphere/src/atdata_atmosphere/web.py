"""Requests to servers of the network: repeated where that is safe, bounded, their errors ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

import httpx

from atdata.errors import AtdataError, CorruptDataError, LimitExceededError, StorageError
from atdata.retries import ATTEMPTS, jittered, may_pass, own_wait, wait_asked_for
from atdata_atmosphere.processes import PerProcess
from atdata_atmosphere.reach import Reach
from atdata_atmosphere.refusals import refusal
from atdata_atmosphere.transport import CheckedTransport

T = TypeVar("T")

MAX_JSON = 8 * 1024 * 1024
CONNECT_SECONDS = 10.0
REDIRECTS = 5
CHUNK = 1024 * 1024
_PASSING = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)


@dataclass(frozen=True)
class Ask:
    """One request, which does the same when it is sent twice."""

    url: str
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Callable[[], bytes | Iterable[bytes]] | None = field(default=None, repr=False)
    max_bytes: int = MAX_JSON
    attempts: int = ATTEMPTS


class Web:
    """A way to ask servers, shared by threads and rebuilt in forked children.

    Answers are bounded in size and time. A server that is busy or fails is asked again, after the
    wait it names or one that doubles, for no more than ``max_wait`` seconds in all.
    """

    def __init__(self, reach: Reach, *, timeout: float, max_wait: float) -> None:
        self.reach = reach
        self.max_wait = max_wait
        self._client = PerProcess(partial(_open, reach, timeout), httpx.Client.close)

    def json(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON object that a server answers."""
        return _json_object(self.read(ask), ask.url)

    def read(self, ask: Ask) -> bytes:
        """Return what a server answers."""
        return self._attempt(ask, lambda response: b"".join(_parts(response, ask)))

    def download(self, ask: Ask, start: Callable[[], Callable[[bytes], object]]) -> None:
        """Pass what a server answers on in parts.

        ``start`` is called before the first part of each attempt; it returns what takes the parts.
        """

        def pass_on(response: httpx.Response) -> None:
            take = start()
            for part in _parts(response, ask):
                take(part)

        self._attempt(ask, pass_on)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._client.close()

    def _attempt(self, ask: Ask, read: Callable[[httpx.Response], T]) -> T:
        waited = 0.0
        for attempt in range(ask.attempts):
            try:
                with self._stream(ask) as response:
                    if response.is_success:
                        return read(response)
                    error, wait = refusal(response, ask.url), _wait(response, attempt)
            except httpx.HTTPError as failure:
                error = _unreachable(ask, failure)
                wait = own_wait(attempt) if isinstance(failure, _PASSING) else None
            except httpx.InvalidURL as failure:
                raise StorageError(f"{ask.url[:200]!r} is no URL", url=ask.url) from failure
            if wait is None or attempt == ask.attempts - 1 or waited + wait > self.max_wait:
                raise error
            time.sleep(wait)
            waited += wait
        raise AssertionError

    def _stream(self, ask: Ask) -> Any:
        return self._client.get().stream(
            ask.method,
            ask.url,
            params=dict(ask.params) or None,
            headers=dict(ask.headers),
            content=ask.body() if ask.body is not None else None,
            follow_redirects=ask.method == "GET",
        )


def _open(reach: Reach, timeout: float) -> httpx.Client:
    return httpx.Client(
        transport=CheckedTransport(reach, seconds=timeout),
        timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
        max_redirects=REDIRECTS,
        headers={"accept-encoding": "identity", "user-agent": "atdata"},
        trust_env=False,
    )


def _wait(response: httpx.Response, attempt: int) -> float | None:
    """Return how long to wait before asking again, or None where that is no use."""
    if not may_pass(response.status_code):
        return None
    asked_for = wait_asked_for(response.headers)
    return own_wait(attempt) if asked_for is None else jittered(asked_for)


def _parts(response: httpx.Response, ask: Ask) -> Iterator[bytes]:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        message = f"{ask.url} sends compressed data, which was not asked for"
        raise CorruptDataError(message, url=ask.url)
    total = 0
    for part in response.iter_raw(CHUNK):
        total += len(part)
        if total > ask.max_bytes:
            message = f"{ask.url} sends more than the {ask.max_bytes:,} bytes that were expected"
            raise LimitExceededError(message, url=ask.url, limit=ask.max_bytes)
        yield part


def _json_object(data: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(data, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(f"{url} answers with something that is no JSON", url=url) from error
    if not isinstance(value, dict):
        raise CorruptDataError(f"{url} answers with JSON that is no object", url=url)
    return value


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)


def _unreachable(ask: Ask, failure: httpx.HTTPError) -> AtdataError:
    reason = str(failure)[:200] or type(failure).__name__
    host = httpx.URL(ask.url).host
    error = StorageError(
        f"{host} cannot be asked: {reason}; try again, or check the address and the network",
        url=ask.url,
    )
    # The original holds the request, and with it tokens.
    failure.request = httpx.Request(ask.method, ask.url)
    error.__cause__ = failure
    return error
