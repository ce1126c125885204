"""What the SDK raises, as errors of ours: one table, and the one place where it is looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from atdata.errors import (
    AtdataError,
    ConflictError,
    InvalidNameError,
    ShardNotFoundError,
    StorageError,
)

T = TypeVar("T")

_NO_SHARD = ShardNotFoundError, "there is no shard at {where}"
_NO_BUCKET = StorageError, "{where}: there is no such bucket; create it, or correct its name"
_DENIED = (
    StorageError,
    "access to {where} is denied; check whose keys are used, and what the bucket's policy allows",
)
_BAD_ID = StorageError, "{where}: the server does not know this access key; check its ID"
_BAD_SECRET = StorageError, "{where}: the secret key is not that of the access key; check it"
_EXPIRED = StorageError, "{where}: the session token has expired or is invalid; get a new one"
_NO_KEYS = StorageError, "{where}: no complete credentials were found; give them, or set AWS_*"
_TAKEN = ConflictError, "there is a shard at {where} already"
_NO_UPLOAD = StorageError, "the upload of {where} was removed before it was complete; try again"
_BAD_NAME = InvalidNameError, "the server takes no object of the name {where}; choose another"
_CLOCK = StorageError, "{where}: this machine's clock is wrong, so requests are refused; set it"
_BUSY = StorageError, "{where}: the server is too busy, also after retries; try again later"
_BROKEN = StorageError, "{where}: the server failed ({code}), also after retries; try again later"
_REGION = StorageError, "{where}: the bucket is in another region; give its region"
_NO_REGION = StorageError, "{where}: the region is not the name of one; correct it"
_SETTINGS = (
    StorageError,
    "{where}: the SDK cannot use its settings ({code}); check the AWS_* variables and ~/.aws",
)
_FULL = StorageError, "{where} cannot be stored: the server has no more room for it"
_UNREACHABLE = StorageError, "{where}: the server cannot be reached; check the endpoint"
_SILENT = StorageError, "{where}: the server did not answer in time; try again, or ask who keeps it"
_NOT_TRUSTED = StorageError, "{where}: the server's certificate is not trusted; check the endpoint"
_OTHER = StorageError, "{where} cannot be accessed: {code}"
_NO_S3 = "{where}: what answers there is no S3 server, as {part} is missing; check the endpoint"

# By the error code of the server, or else the class of the exception. Others than the SDK's own are
# raised where it looks for keys, or for the server's address.
_FAILURES: dict[str, tuple[type[AtdataError], str]] = {
    "NoSuchKey": _NO_SHARD,
    "404": _NO_SHARD,
    "NoSuchBucket": _NO_BUCKET,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "401": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _BAD_ID,
    "SignatureDoesNotMatch": _BAD_SECRET,
    "ExpiredToken": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "PreconditionFailed": _TAKEN,
    "ConditionalRequestConflict": _TAKEN,
    "412": _TAKEN,
    "NoSuchUpload": _NO_UPLOAD,
    "KeyTooLongError": _BAD_NAME,
    "InvalidObjectName": _BAD_NAME,
    "XMinioInvalidObjectName": _BAD_NAME,
    "RequestTimeTooSkewed": _CLOCK,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "TooManyRequests": _BUSY,
    "Throttling": _BUSY,
    "429": _BUSY,
    "503": _BUSY,
    "InternalError": _BROKEN,
    "500": _BROKEN,
    "502": _BROKEN,
    "504": _BROKEN,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
    "QuotaExceeded": _FULL,
    "EntityTooLarge": _FULL,
    "XMinioStorageFull": _FULL,
    "NoCredentialsError": _NO_KEYS,
    "PartialCredentialsError": _NO_KEYS,
    "CredentialRetrievalError": _NO_KEYS,
    "TokenRetrievalError": _NO_KEYS,
    "SSOError": _NO_KEYS,
    "LoginError": _NO_KEYS,
    "InvalidRegionError": _NO_REGION,
    "ConfigNotFound": _SETTINGS,
    "ConfigParseError": _SETTINGS,
    "InvalidConfigError": _SETTINGS,
    "ProfileNotFound": _SETTINGS,
    "OSError": _SETTINGS,
    "ValueError": _SETTINGS,
    "EndpointConnectionError": _UNREACHABLE,
    "EndpointResolutionError": _UNREACHABLE,
    "ProxyConnectionError": _UNREACHABLE,
    "ConnectionClosedError": _UNREACHABLE,
    "ConnectTimeoutError": _SILENT,
    "ReadTimeoutError": _SILENT,
    "SSLError": _NOT_TRUSTED,
}


def ask(where: str, act: Callable[..., T], **arguments: Any) -> T:
    """Call the SDK; what it raises becomes an error that names ``where``, with a ``code``."""
    try:
        return act(**arguments)
    except (ClientError, BotoCoreError, OSError, ValueError) as error:
        code = code_of(error)
    # Outside the block, so that nothing is chained: the answer of a server to a bad signature
    # repeats the headers of the request, and among them the session token.
    kind, sentence = _FAILURES.get(code, _OTHER)
    raise kind(sentence.format(where=where, code=code), url=where, code=code)


def ask_for(part: str, where: str, act: Callable[..., Any], **arguments: Any) -> Any:
    """Call the SDK, and make sure that an S3 server answers, with this part in what it says.

    A web server that something leads to in its place may answer that all is well, too.
    """
    answer = ask(where, act, **arguments)
    if part not in answer:
        raise StorageError(_NO_S3.format(where=where, part=part), url=where, code="")
    return answer


def code_of(error: Exception) -> str:
    """Return the server's code for what went wrong, its status, or the class of the exception."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "no code")
        return str(error.response.get("Error", {}).get("Code") or status)
    return next(
        (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _FAILURES),
        type(error).__name__,
    )
