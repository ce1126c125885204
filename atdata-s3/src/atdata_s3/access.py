"""How a bucket is reached: endpoint, region and keys, in every spelling that is documented."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from dotenv import dotenv_values

from atdata.dataset.url import redacted
from atdata.errors import StorageError

# User and password in an endpoint would end up in URLs that are shown and stored.
_ENDPOINT = re.compile(
    r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(/[^?#@\s]*)?", re.IGNORECASE
)
# The headers that it is sent in would break, or begin elsewhere.
_NO_KEY = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")
# Its buckets are the same ones in every region.
_AMAZON = re.compile(r"s3[.-](dualstack\.)?[a-z0-9-]+\.amazonaws\.com")
_PORTS = {"http": 80, "https": 443}
_ID, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_ENDPOINTS = "AWS_ENDPOINT", "AWS_ENDPOINT_URL"
_REGIONS = "AWS_REGION", "AWS_DEFAULT_REGION"


@dataclass(frozen=True, slots=True)
class Access:
    """Where a server is and whose keys are used: these, or else those that the SDK finds.

    What is found by the SDK is never kept here, so it is never pickled. With ``anonymous`` no keys
    are looked for at all.
    """

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    anonymous: bool = False

    def __post_init__(self) -> None:
        if self.endpoint is not None and not _is_endpoint(self.endpoint):
            shown = redacted(self.endpoint)
            raise ValueError(
                f"{shown!r:.300} is no S3 endpoint; give an http or https URL without user or query"
            )
        if (self.access_key is None) != (self.secret_key is None):
            missing = "access" if self.access_key is None else "secret"
            raise ValueError(
                f"an access key and a secret key go together; the {missing} key is missing"
            )
        for name, value in self.to_credentials().items():
            if _NO_KEY.search(value):
                raise ValueError(f"{name} has a line break in it or space around it; remove that")
        if self.anonymous and self.access_key is not None:
            raise TypeError("anonymous access takes no keys")

    def to_credentials(self) -> dict[str, str]:
        """Return what is known by its ``AWS_*`` name, secrets included."""
        names = (_ENDPOINTS[0], _ID, _SECRET, _TOKEN, _REGIONS[0])
        values = (
            self.endpoint,
            self.access_key,
            self.secret_key,
            self.session_token,
            self.region,
        )
        return {name: value for name, value in zip(names, values, strict=True) if value}

    @property
    def shown(self) -> str:
        """What the repr of a store or source says of it, behind what it says itself."""
        shown = {"endpoint": self.endpoint, "region": self.region}
        parts = [f", {name}={value!r}" for name, value in shown.items() if value]
        keys = ", credentials=***" if self.access_key else ", anonymous=True" * self.anonymous
        return "".join(parts) + keys


Credentials = Access | Mapping[str, str] | str | os.PathLike[str]


def make_access(
    credentials: Credentials | None,
    endpoint: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> Access:
    """Combine credentials with an endpoint and region, which take precedence over theirs.

    Raises:
        ValueError: a key is missing from the credentials, or the endpoint is not a URL.
        StorageError: the file of credentials cannot be read.
        TypeError: ``endpoint`` and ``endpoint_url`` differ.
    """
    if None not in (endpoint, endpoint_url) and endpoint != endpoint_url:
        raise TypeError("endpoint and endpoint_url are the same; give one")
    access = credentials if isinstance(credentials, Access) else _read(credentials)
    return replace(
        access,
        endpoint=endpoint or endpoint_url or access.endpoint,
        region=region or access.region,
    )


def server_of(endpoint: str) -> str:
    """Return an endpoint's URL in one spelling, whatever the region, and without a user in it."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if _AMAZON.fullmatch(host):
        host = "s3.amazonaws.com"
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    # The brackets of an IPv6 address are not part of the name.
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{port}{parts.path.rstrip('/')}"


def _is_endpoint(text: str) -> bool:
    try:
        # A port may be out of range, and an address no address.
        return urlsplit(text).port != 0 and _ENDPOINT.fullmatch(text) is not None
    except ValueError:
        return False


def _read(credentials: Mapping[str, str] | str | os.PathLike[str] | None) -> Access:
    if credentials is None or credentials == {}:
        return Access()
    if isinstance(credentials, Mapping):
        where, given = "the mapping of credentials", dict[str, str | None](credentials)
    else:
        where = os.fspath(credentials)
        given = _read_file(where)
    known = (*_ENDPOINTS, _ID, _SECRET, _TOKEN, *_REGIONS)
    if given.keys().isdisjoint(known):
        # Not to be taken for a wish to use the SDK's keys, and Amazon's server.
        raise ValueError(f"{where} has none of {', '.join(known)}; correct it")
    has_keys = any(given.get(key) for key in (_ID, _SECRET, _TOKEN))
    for key in (_ID, _SECRET):
        if has_keys and not given.get(key):
            raise ValueError(f"{where} has no {key}; give it, or leave all keys to the SDK")
    return Access(
        _first(given, *_ENDPOINTS),
        given.get(_ID) or None,
        given.get(_SECRET) or None,
        given.get(_TOKEN) or None,
        _first(given, *_REGIONS),
    )


def _read_file(path: str) -> dict[str, str | None]:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            # A secret may hold a dollar sign.
            return dotenv_values(stream=file, interpolate=False)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError:
        # What cannot be decoded is in the error, and may be secret.
        raise StorageError(f"{path} is not a text of KEY=value lines", path=path) from None


def _first(given: Mapping[str, str | None], *keys: str) -> str | None:
    return next((value for key in keys if (value := given.get(key))), None)
