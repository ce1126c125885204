"""The record-store contract: an ordered map with atomic conditional commits, and nothing more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple

from atdata.errors import ConflictError, InvalidNameError
from atdata.index.bodies import check_body, is_same_body

MAX_KEY_BYTES = 1024


class Key(NamedTuple):
    """Where a record is: any strings without NUL, together at most 1 KiB of UTF-8."""

    kind: str
    name: str
    version: str


class Expect(Enum):
    """What a writer may expect of a key without knowing a value."""

    ANY = "any"
    ABSENT = "absent"


ANY: Final = Expect.ANY
ABSENT: Final = Expect.ABSENT


@dataclass(frozen=True, slots=True)
class Put:
    """Store ``value`` under ``key`` if what is there now is what ``expect`` says."""

    key: Key
    value: bytes
    expect: Expect | bytes = ANY


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove ``key`` if what is there now is what ``expect`` says; a missing key is no error."""

    key: Key
    expect: Literal[Expect.ANY] | bytes = ANY


Op = Put | Delete


class IndexProvider(ABC):
    """Keep records for an index; usable from many threads, and from a child after a fork.

    Values are the UTF-8 bytes of one JSON object, see `check_body`. A provider returns an *equal*
    object, not always the same bytes: a database that stores JSON natively orders the keys and
    writes the numbers its own way. So equality, also in ``expect``, is that of `is_same_body`.

    Every method raises `StorageError` when the backend cannot be reached and after `close`, and
    `InvalidNameError` for a key that no provider could store.
    """

    @property
    def is_own(self) -> bool:
        """Whether nobody but this user can have written what is kept here.

        Then it may name files of this machine, and is read with this user's keys. Where others may
        write, which is the default, only what is public is opened, and what the reader named.
        """
        return False

    @abstractmethod
    def commit(self, ops: Iterable[Op]) -> None:
        """Apply all operations or none, durably once this returns.

        Expectations are held against the state before the commit; the first one that fails raises
        `ConflictError`, whose ``key`` names it. Two operations on one key are refused. No
        operations change nothing.
        """

    @abstractmethod
    def get(self, key: Key) -> bytes:
        """Return the value under ``key`` or raise `NotFoundError`."""

    @abstractmethod
    def scan(
        self,
        kind: str,
        name: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[Key, bytes]]:
        """Return records of one kind (and one name) in key order, as they were at one moment.

        The order is bytewise by the UTF-8 of the name, then of the version. ``after`` is the last
        key of the page before, which need not exist any more: the result starts strictly behind
        it in the direction of the scan, and holds at most ``limit`` records. What another program
        has put there under no possible key is passed over with an `UnreadableRecordWarning`.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the provider holds; closing twice is fine."""


def check_key(key: Key) -> None:
    """Raise `InvalidNameError` unless every provider could store this key."""
    text = "".join(key)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        message = f"{key!r} holds a lone surrogate, which has no UTF-8 form; remove it"
        raise InvalidNameError(message, key=key) from error
    if "\0" in text:
        raise InvalidNameError(f"{key!r} holds a NUL character; remove it", key=key)
    if size > MAX_KEY_BYTES:
        message = f"a key of kind {key.kind[:40]!r} takes {size} bytes, {MAX_KEY_BYTES} at most"
        raise InvalidNameError(f"{message}; choose a shorter name", key=key)


def check_ops(ops: Iterable[Op]) -> list[Op]:
    """Return the operations in key order, refusing bad keys, bad values and repeated keys."""
    ordered = sorted(ops, key=lambda op: op.key)
    seen: set[Key] = set()
    for op in ordered:
        check_key(op.key)
        if op.key in seen:
            # Not a ConflictError: callers answer that one by trying again.
            message = f"{op.key!r} occurs twice in one commit; keep only the last operation on it"
            raise InvalidNameError(message, key=op.key)
        seen.add(op.key)
        if isinstance(op, Put):
            check_body(op.value)
        if isinstance(op.expect, bytes):
            check_body(op.expect)
    return ordered


def check_expectation(op: Op, current: bytes | None) -> None:
    """Raise `ConflictError` if ``current``, None for absent, is not what ``op`` expects."""
    if op.expect is ANY:
        return
    if isinstance(op.expect, bytes):
        if current is not None and is_same_body(op.expect, current):
            return
        found = "is missing" if current is None else "holds another value"
    else:
        if current is None:
            return
        found = "exists already"
    message = f"{op.key!r} {found}; read it again and repeat the change"
    raise ConflictError(message, key=op.key, current=current)


def check_scan(kind: str, name: str | None, after: Key | None, limit: int | None) -> None:
    """Refuse arguments of a scan that providers would understand differently."""
    check_key(Key(kind, name or "", ""))
    if after is not None:
        check_key(after)
        if after.kind != kind:
            message = f"a scan of kind {kind!r} cannot go on after {after!r}, which is of another"
            raise InvalidNameError(message, key=after)
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}; give 0 or more, or None for all records")
