"""The record store in Redis: per kind a hash of bodies and a sorted set of keys.

Everything an index has bears its prefix in braces, so a cluster keeps it in one hash slot. Members
are the name and the version with a NUL between them, which no key holds: all of one score, they
sort bytewise by name, then by version.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

from atdata.errors import IndexCorruptError, InvalidNameError, NotFoundError
from atdata.index.provider import (
    Expect,
    IndexProvider,
    Key,
    Op,
    Put,
    check_expectation,
    check_key,
    check_ops,
    check_scan,
)
from atdata.index.unreadable import first_readable, report, unreadable
from atdata_redis.addresses import Address, check_client
from atdata_redis.durability import warn_if_volatile
from atdata_redis.failures import foreign
from atdata_redis.late_keys import LateKeys
from atdata_redis.old_keys import old_records
from atdata_redis.scripts import COMMIT, SCAN
from atdata_redis.server import Server

# A member of the order of a kind, and its body.
Row = tuple[bytes, bytes | None]

FORMAT: Final = 1
DEFAULT_PREFIX: Final = "atdata"
# What earlier releases write.
_OLD_KINDS: Final = frozenset({"dataset", "revision", "cid", "schema"})
# Longer than any client goes on sending one commit again.
_REMEMBERED_SECONDS: Final = 600
_NO_LIMIT: Final = -1
_LATER_FORMAT: Final = re.compile(rb"[2-9]|[1-9][0-9]{1,8}")


class RedisProvider(IndexProvider):
    """Keep records in the Redis or Valkey behind ``url``, ``host``/``port``/``db``, or a client.

    Further options are those of ``redis.Redis``, such as ``password`` and ``ssl``. Indexes with
    different prefixes share a database. Threads and forked children may share a provider. One
    that was given an address is pickled as that address, its password included; one that was
    given a client is not pickled, and leaves closing the client to whoever made it.

    Raises:
        StorageError: the server cannot be reached, or refuses.
        IndexCorruptError: keys of that prefix hold something else, or a newer format.
    """

    def __init__(
        self,
        redis: Any = None,
        *,
        url: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        **options: Any,
    ) -> None:
        if not prefix or set("{}\0") & set(prefix):
            message = f"{prefix!r:.80} is no prefix; give letters, without braces or NUL"
            raise InvalidNameError(message)
        self.prefix = prefix
        if url is not None:
            options["url"] = url
        if redis is not None and options:
            given = ", ".join(sorted(options))
            raise TypeError(f"a Redis client is connected already; leave out {given}")
        self._address = Address(options) if redis is None else None
        client = check_client(redis) if self._address is None else self._address.connect()
        self._server = Server(client, is_owned=redis is None)
        self._late = LateKeys(self._server)
        self._stem = f"{{{prefix}}}:".encode()
        try:
            self._prepare()
            warn_if_volatile(self._server)
        except BaseException:
            self._server.close()
            raise

    @property
    def location(self) -> str:
        """The URL of the server, without user and password."""
        return self._server.name

    def commit(self, ops: Iterable[Op]) -> None:
        """Do as `IndexProvider.commit` says."""
        ordered = check_ops(ops)
        self._server.check_open()
        if ordered:
            self._commit(ordered, is_first=False)

    def get(self, key: Key) -> bytes:
        """Do as `IndexProvider.get` says."""
        check_key(key)
        body = self._get(key)
        if body is None and self._finds_late(key.kind):
            body = self._get(key)
        if body is None:
            raise NotFoundError(f"no record {key!r} in the index at {self.location}", key=key)
        return body

    def scan(
        self,
        kind: str,
        name: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[Key, bytes]]:
        """Do as `IndexProvider.scan` says."""
        check_scan(kind, name, after, limit)
        if name is None and after is None:
            self._finds_late(kind)
        found = self._scan(kind, name, after, limit, reverse=reverse)
        if name is not None and after is None and not found and self._finds_late(kind):
            found = self._scan(kind, name, after, limit, reverse=reverse)
        return found

    def _get(self, key: Key) -> bytes | None:
        bodies, _ = self._keys_of(key.kind)
        body: bytes | None = self._server.command("HGET", bodies, _member(key))
        return body

    def _finds_late(self, kind: str) -> bool:
        """Tell whether an earlier release has written something since, which is there now."""
        is_old = self.prefix == DEFAULT_PREFIX and kind in _OLD_KINDS
        return is_old and self._late.look(self)

    def _scan(
        self, kind: str, name: str | None, after: Key | None, limit: int | None, *, reverse: bool
    ) -> list[tuple[Key, bytes]]:
        least, most = _range(name, after, reverse=reverse)

        def fetch(size: int | None) -> list[Row]:
            rows = self._fetch(kind, least, most, size, reverse=reverse)
            if _is_ordered(rows, least, most, reverse=reverse):
                return rows
            # Another program has given members scores of their own, which come first in the order.
            rows = self._fetch(kind, b"-", b"+", None)
            within = (row for row in rows if _is_within(row[0], least, most))
            return sorted(within, key=itemgetter(0), reverse=reverse)[:size]

        return first_readable(limit, fetch, partial(self._read, kind))

    def close(self) -> None:
        """Do as `IndexProvider.close` says."""
        self._server.close()

    def __repr__(self) -> str:
        return f"RedisProvider({self.location!r}, prefix={self.prefix!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._address is None:
            message = "an index on a given Redis client cannot be pickled; give url= or host="
            raise TypeError(message)
        return _reopen, (type(self), self._address, self.prefix)

    def _prepare(self) -> None:
        """Make the index, with what earlier releases left, unless it is there or somebody does."""
        found = self._server.command("GET", self._key("format"))
        if found is None:
            old = old_records(self._server) if self.prefix == DEFAULT_PREFIX else []
            self._commit([Put(key, body) for key, body in old], is_first=True)
        else:
            self._check_format(found)

    def _commit(self, ops: list[Op], *, is_first: bool) -> None:
        numbers = {kind: number for number, kind in enumerate({op.key.kind for op in ops}, start=1)}
        keys = [self._key("format"), self._key(f"commit:{uuid.uuid4().hex}")]
        keys += [key for kind in numbers for key in self._keys_of(kind)]
        expected = [op.expect for op in ops]
        while True:
            rows = zip(ops, expected, strict=True)
            words = [word for op, expect in rows for word in _words(op, numbers, expect)]
            arguments = [FORMAT, int(is_first), _REMEMBERED_SECONDS, *words]
            verdict, *details = self._server.run(COMMIT, keys, arguments)
            if verdict == b"format":
                self._check_format(details[0])
            if verdict != b"failed":
                return
            # What is there is other bytes than expected, or even other JSON.
            for number, current in zip(details[::2], details[1::2], strict=True):
                check_expectation(ops[number], current)
                expected[number] = current

    def _key(self, name: str) -> bytes:
        return self._stem + name.encode()

    def _keys_of(self, kind: str) -> list[bytes]:
        return [self._key(f"bodies:{kind}"), self._key(f"order:{kind}")]

    def _check_format(self, found: bytes) -> None:
        if found == b"%d" % FORMAT:
            return
        if not _LATER_FORMAT.fullmatch(found):
            raise foreign(self.location, "its format is none that ever was")
        message = f"the index at {self.location} has format {int(found)}, this atdata {FORMAT}"
        raise IndexCorruptError(f"{message}; upgrade atdata-redis", server=self.location)

    def _fetch(
        self, kind: str, least: bytes, most: bytes, size: int | None, *, reverse: bool = False
    ) -> list[Row]:
        """Return members and bodies between two ends, as they were at one moment."""
        count = _NO_LIMIT if size is None else min(size, 2**31)
        command = ("ZREVRANGEBYLEX", most, least) if reverse else ("ZRANGEBYLEX", least, most)
        found = self._server.run(SCAN, self._keys_of(kind), [*command, count])
        return list(zip(found[::2], found[1::2], strict=True))

    def _read(self, kind: str, row: Row) -> tuple[Key, bytes] | None:
        """Return a record; None, with a warning, for what another program has left of one."""
        member, body = row
        try:
            name, version = member.decode().split("\0")
            check_key(key := Key(kind, name, version))
        except ValueError as error:
            odd = Key(kind, repr(member), "")
            report(self, odd, unreadable(odd, error))
            return None
        if body is None:
            report(self, key, unreadable(key, "it is listed, and not there"))
            return None
        return key, body


def _reopen(kind: type[RedisProvider], address: Address, prefix: str) -> RedisProvider:
    return kind(prefix=prefix, **address.options)


def _member(key: Key) -> bytes:
    return f"{key.name}\0{key.version}".encode()


def _range(name: str | None, after: Key | None, *, reverse: bool) -> tuple[bytes, bytes]:
    """Return the ends of a range of members, as ``ZRANGEBYLEX`` wants them."""
    least, most = b"-", b"+"
    if name is not None:
        # The next string that can follow a name's NUL is greater than all of its members.
        least, most = b"[" + name.encode() + b"\0", b"(" + name.encode() + b"\1"
    if after is not None:
        mark = b"(" + _member(after)
        if reverse:
            most = mark if name is None else min(most, mark, key=_text)
        else:
            # Where they are equal the mark counts, which leaves out what it stands for.
            least = mark if name is None else max(mark, least, key=_text)
    return least, most


def _is_ordered(rows: list[Row], least: bytes, most: bytes, *, reverse: bool) -> bool:
    """Tell whether members lie between two ends, each after the one before."""
    members = [member for member, _ in rows]
    ends = (members[:1], members[-1:])
    if not all(_is_within(member, least, most) for end in ends for member in end):
        return False
    return all(left > right if reverse else left < right for left, right in pairwise(members))


def _is_within(member: bytes, least: bytes, most: bytes) -> bool:
    after = least == b"-" or member > _text(least) or (least[:1] == b"[" and member == _text(least))
    return after and (most == b"+" or member < _text(most))


def _text(end: bytes) -> bytes:
    return end[1:]


def _words(op: Op, numbers: dict[str, int], expect: Expect | bytes) -> tuple[Any, ...]:
    wanted = expect if isinstance(expect, bytes) else b""
    how = "body" if isinstance(expect, bytes) else expect.value
    value = op.value if isinstance(op, Put) else b""
    verb = "put" if isinstance(op, Put) else "delete"
    return numbers[op.key.kind], _member(op.key), how, wanted, verb, value
