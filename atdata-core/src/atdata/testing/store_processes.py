"""What other processes and threads do with a data store in its kit."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from typing import Any

from atdata.errors import ConflictError
from atdata.stores import Cut, DataStore
from atdata.testing.children import Tell, in_fork
from atdata.testing.memory import forget_peak, peak_bytes
from atdata.testing.readings import readings
from atdata.testing.spooled import interrupted, open_store, put, read

_CHUNK = 1 << 20


def content(writer: int) -> bytes:
    """Return what one of several writers puts."""
    return writer.to_bytes(8, "big") * 10_000


def try_put(store: DataStore, name: str, writer: int) -> bool:
    """Put a writer's content, and tell whether the name was free."""
    try:
        put(store, name, content(writer))
    except ConflictError:
        return False
    return True


def put_own_content(store: DataStore, names: list[str]) -> tuple[int, list[bool]]:
    """Put what no other process does under each name; tell who did, and which were free."""
    writer = os.getpid()
    return writer, [try_put(store, name, writer) for name in names]


def identify(options: Mapping[str, Any]) -> str:
    """Return what a store opened here is known by."""
    return open_store(options).identify()


def use(store: DataStore, prefix: str) -> bool:
    """Put, list, read and delete a few shards, and tell whether all went well."""
    urls = {put(store, f"{prefix}/{n}.tar", content(n)): content(n) for n in range(4)}
    if list(store.list(f"{prefix}/")) != sorted(urls):
        return False
    well = all(read(store, url, 100) == data[100:] for url, data in urls.items())
    for url in urls:
        store.delete(url)
    return well


def use_on_both_sides_of_a_fork(options: Mapping[str, Any]) -> bool:
    """Use a store, then in a forked child, in the parent again, and both at once."""
    store = open_store(options)
    well = use(store, "before")
    well = in_fork(lambda: use(store, "child")) and well
    well = use(store, "parent") and well
    with store.open(put(store, "a.tar", content(1))) as stream:
        well = stream.read(10) == content(1)[:10] and well
        well = in_fork(lambda: use(store, "child") and os.getpid() > 0) and well
        return stream.read(6) == content(1)[10:16] and use(store, "parent") and well


def carry(options: Mapping[str, Any], size: int) -> tuple[str, str, int]:
    """Store and read a large shard; return both digests, and by how many bytes memory grew."""
    store = open_store(options)
    # What is imported and connected at first use is not the shard's.
    store.delete(put(store, "small.tar", b"data"))
    forget_peak()
    before = peak_bytes()
    written, got = hashlib.sha256(), hashlib.sha256()
    with store.spool() as file:
        for number in range(size // _CHUNK):
            chunk = number.to_bytes(8, "big") * (_CHUNK // 8)
            written.update(chunk)
            file.write(chunk)
        url = store.put("large.tar", file)
    with store.open(url) as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            got.update(chunk)
    return written.hexdigest(), got.hexdigest(), peak_bytes() - before


def put_and_stall(tell: Tell, options: Mapping[str, Any], name: str, size: int) -> None:
    """Put a shard that cannot be read beyond its middle, and tell when that is reached."""

    def stall() -> None:
        tell("midway")
        threading.Event().wait()

    store = open_store(options)
    with store.spool() as file:
        file.write(bytes(size))
        store.put(name, interrupted(file, size // 2, stall))
    tell("stored")


def write_for_ever(tell: Tell, options: Mapping[str, Any]) -> None:
    """Write the same twenty samples over and over, seven in a shard."""
    store = open_store(options)
    samples = readings(20)
    while True:
        store.write_samples(samples, prefix="mine", cut=Cut(maxcount=7))
        tell("written")
