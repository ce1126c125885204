"""What a client's errors mean: which pass by themselves, and what each one says to the user."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions

from atdata.errors import AtdataError, IndexCorruptError, StorageError

FAILURES: Final = (
    exceptions.RedisError,
    exceptions.RedisClusterException,
    exceptions.ChildDeadlockedError,
    # Of a host's name that no name server would take, and of answers that are not Redis'.
    UnicodeError,
)

# A script's error carries the code of the command that failed somewhere in its text.
_CODE: Final = re.compile(
    r"\b(WRONGPASS|NOAUTH|NOPERM|ACL|WRONGTYPE|READONLY|OOM|MISCONF|LOADING|BUSY|MOVED|MASTERDOWN"
    r"|CLUSTERDOWN|TRYAGAIN|CROSSSLOT|NOREPLICAS)\b"
)
_REMEDIES: Final = {
    "WRONGPASS": "user name or password is wrong",
    "NOAUTH": "it wants a password; give password= or a URL that holds one",
    "NOPERM": "its user may not do this; docs/redis.md lists the commands that an index needs",
    "ACL": "its user may not do this; docs/redis.md lists the commands that an index needs",
    "READONLY": "it is a read-only replica; give the address of the primary",
    "OOM": "its memory is full; raise maxmemory, or delete something",
    "MISCONF": "it cannot save to its disk and so refuses to write; see its log",
    "LOADING": "it is still loading its data; try again",
    "BUSY": "a script keeps it busy; try again",
    "MASTERDOWN": "it is a replica without its primary; give the address of the primary",
    "MAXCLIENTS": "it has as many clients as it may; raise maxclients, or close some",
    "UNKNOWN": "it lacks a command that docs/redis.md lists; let its owner allow it",
    "MOVED": "it is one node of a cluster; give redis= a redis.RedisCluster",
    "TRYAGAIN": "its keys are moving to another node of the cluster; try again",
    "CLUSTERDOWN": "the cluster is down; see its nodes",
    "CROSSSLOT": "the cluster splits what belongs together; that is a fault of atdata, report it",
    "NOREPLICAS": "too few replicas answer it; see min-replicas-to-write",
}
# The client turns some codes into classes, and cuts them off the text.
_KINDS: Final = {
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.AskError: "MOVED",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ClusterCrossSlotError: "CROSSSLOT",
    # Of a client that was sent to and fro too often while keys move.
    exceptions.ClusterError: "TRYAGAIN",
}
# What comes without a code, whatever its class.
_WORDS: Final = {
    "max number of clients": "MAXCLIENTS",
    "unknown command": "UNKNOWN",
    "unknown redis command": "UNKNOWN",
    "the user executing the script": "NOPERM",
}
_PASSING: Final = frozenset({"LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"})
_LOST: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
    UnicodeError,
)


def is_passing(error: Exception) -> bool:
    """Tell whether the same command may succeed soon: the server starts, or is busy."""
    return _code_of(error) in _PASSING


def is_lost(error: Exception) -> bool:
    """Tell whether the server was not reached, or its answer did not come."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return False
    return isinstance(error, _LOST)


def translate(error: Exception, server: str) -> AtdataError:
    """Return the error of ours that says what a client's says, with the server and the remedy."""
    code = _code_of(error)
    if code == "WRONGTYPE":
        return foreign(server, "a key of its name holds something else")
    if code in _REMEDIES:
        message = f"the index at {server} failed: {_REMEDIES[code]}"
        return StorageError(message, server=server, code=code)
    reason = " ".join(str(error).split()).rstrip(".")[:300]
    if is_lost(error):
        message = f"the index at {server} cannot be reached: {reason}"
        remedy = "check the address, whether it speaks TLS, and that the server runs"
    else:
        message = f"the index at {server} failed: {reason}"
        remedy = "the server's log may say more"
    return StorageError(f"{message}; {remedy}", server=server)


def foreign(server: str, reason: str) -> IndexCorruptError:
    """Return the error for keys under our prefix that are not ours."""
    remedy = "give another prefix= or database, or remove those keys"
    return IndexCorruptError(f"no atdata index at {server}: {reason}; {remedy}", server=server)


def _code_of(error: Exception) -> str | None:
    text = str(error)
    if isinstance(error, exceptions.AuthenticationError):
        # The last words are of a server that has no password at all.
        is_wrong = "invalid" in text or "without any password" in text
        return "WRONGPASS" if is_wrong else "NOAUTH"
    for kind, code in _KINDS.items():
        if isinstance(error, kind):
            return code
    for words, code in _WORDS.items():
        if words in text.lower():
            return code
    if not isinstance(error, exceptions.ResponseError):
        return None
    found = _CODE.search(text)
    return found[1] if found else None
