"""Putting and reading shards for the kits, and a spooled file that is not read to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

from atdata import plugins
from atdata.stores import DataStore

_SECRET = re.compile("secret|passw|token|private", re.IGNORECASE)
_PASSWORD = re.compile("://[^/@:]*:([^/@]+)@")


def open_store(options: Mapping[str, Any]) -> DataStore:
    """Open the store of a registered name with its keyword arguments, as users do."""
    arguments = {name: value for name, value in options.items() if name != "store"}
    kind: Any = plugins.load("data store", options["store"])
    return cast("DataStore", kind(**arguments))


def put(store: DataStore, name: str, data: bytes) -> str:
    """Spool some bytes and put them."""
    with store.spool() as file:
        file.write(data)
        return store.put(name, file)


def read(store: DataStore, url: str, offset: int = 0) -> bytes:
    """Read a shard to its end, whatever the stream gives at a time."""
    with store.open(url, offset) as stream:
        return b"".join(iter(lambda: stream.read(1 << 20), b""))


def secrets_in(options: object, name: str = "") -> Iterator[str]:
    """Yield what among some options must not be shown, told by their names."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from secrets_in(value, str(key))
    elif isinstance(options, str):
        yield from _PASSWORD.findall(options)
        if options and _SECRET.search(name):
            yield options


def interrupted(file: IO[bytes], limit: int, interrupt: Callable[[], None]) -> IO[bytes]:
    """Return a spooled file that calls a function when more than so many bytes are read of it."""
    return cast("IO[bytes]", _InterruptedFile(file, limit, interrupt))


class _InterruptedFile:
    def __init__(self, file: IO[bytes], limit: int, interrupt: Callable[[], None]) -> None:
        self._file = file
        self._left = limit
        self._interrupt = interrupt

    def read(self, size: int | None = -1) -> bytes:
        self._count(size)
        return self._file.read(-1 if size is None else size)

    def readinto(self, buffer: Any) -> int:
        self._count(len(buffer))
        return cast("int", cast("Any", self._file).readinto(buffer))

    def _count(self, size: int | None) -> None:
        self._left -= self._left + 1 if size is None or size < 0 else size
        if self._left < 0:
            self._interrupt()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
