"""Errors of the SDK, which begins and renews sessions, as ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from atdata.errors import AtdataError, CorruptDataError, StorageError
from atdata_atmosphere.refusals import refusal_from

if TYPE_CHECKING:
    from atproto_client.exceptions import RequestErrorBase

_REMEDIES = {
    "AuthFactorTokenRequired": "make an app password for atdata, which needs no such code",
    "AuthenticationRequired": "check the handle, and that this is an app password",
    "AccountTakedown": "ask who keeps the server",
    "RateLimitExceeded": "try again later, or restore a saved session",
}
_OTHERWISE = "log in again"


@contextmanager
def translated(server: str, failure: str) -> Iterator[None]:
    """Raise what the SDK raises as an error of ours that starts with what failed.

    Theirs are not chained: they hold the request, and with it a password or token.
    """
    # 0.7 s, and at hand by now.
    from atproto.exceptions import AtProtocolError, ModelError, RequestErrorBase

    try:
        yield
    except AtdataError:
        raise
    except RequestErrorBase as error:
        raise _refused(error, server, failure) from None
    except (ModelError, ValueError):
        message = f"{failure}: {server} answers with something that is no session"
        raise CorruptDataError(message, url=server) from None
    except (AtProtocolError, httpx.HTTPError) as error:
        raise StorageError(f"{failure}: {type(error).__name__}; try again", url=server) from None


def _refused(error: RequestErrorBase, server: str, failure: str) -> AtdataError:
    response = error.response
    if response is None:
        reason = type(error.__cause__ or error).__name__
        remedy = "check the address and the network"
        return StorageError(f"{failure}: it is out of reach ({reason}); {remedy}", url=server)
    body = response.content
    text = body if isinstance(body, bytes) else json.dumps(_words(body)).encode()
    refused = refusal_from(response.status_code, text, response.headers, server)
    name = str(refused.details.get("error"))
    remedy = _REMEDIES.get(name, _OTHERWISE)
    return type(refused)(f"{failure}: {refused.message}; {remedy}", **refused.details)


def _words(body: object) -> dict[str, object]:
    return {name: getattr(body, name, None) for name in ("error", "message")}
