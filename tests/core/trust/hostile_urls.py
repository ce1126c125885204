"""URLs that nobody means well with, made by rule; run as a program, it has them all read.

The program names them in an index of this user's, in one that others write to, and in entries that
came from strangers, reads each by name, registers it, and prints what was opened, connected to or
run meanwhile.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

import atdata
from atdata.dataset.url import ShardSource, local_path
from atdata.errors import AtdataError
from atdata.index.cids import generate_cid
from atdata.index.memory import MemoryProvider
from atdata.index.provider import Key, Put
from atdata.samples import DictSample
from atdata_atmosphere.network import Network
from atdata_atmosphere.sources import NetworkSource

RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork")
EVENTS = frozenset({"open", "socket.connect", *RUNS})
# Those that policies know, of which some may be opened.
KNOWN = frozenset({"file", "http", "https", "s3", "at"})
REF = "atdata://local/sampleSchema/Thing@1.0.0"
HOSTS = """
127.0.0.1 127.1 127.0.0.1. 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.1
0x7f.0.0.1 127.000.000.001 0xa9fea9fe 2852039166 198.18.0.1 172.31.255.255 a.corp b.home.arpa
[0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1] [fec0::1] [ff02::1] [::1] [::] [::ffff:127.0.0.1]
[::ffff:7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::] [fe80::1] [fc00::1] localhost LOCALHOST
localhost. a.localhost metadata metadata.google.internal printer.local nas.lan 169.254.169.254
10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 224.0.0.1 255.255.255.255 192.0.2.1
""".split()  # noqa: SIM905 -- readable so


def urls(canary: Path, root: Path, port: int) -> Iterator[str]:
    """Yield the URLs: of files beside a canary and a store's root, and of a port of this host."""
    inside = f"http://127.0.0.1:{port}/x.tar"
    targets = [inside, f"file://{canary}", str(canary)]
    others = sorted({*fsspec.available_protocols(), "gopher", "jar", "data", "php"} - KNOWN)
    for scheme in others:
        yield from (f"{scheme}://h/x.tar", f"{scheme.upper()}://127.0.0.1:{port}/x.tar")
        yield from (f"{scheme}://{canary}", f"{scheme}:{canary}")
        yield from (f"{scheme}://x.tar::{target}" for target in targets)
        yield f"{scheme}::{inside}"
    for host in HOSTS:
        for scheme in ("http", "https", "HTTP"):
            yield from (f"{scheme}://{host}:{port}/x.tar", f"{scheme}://{host}/{{a,b}}.tar")
            yield f"{scheme}://h.invalid@{host}:{port}/x.tar?a#b"
        yield f"{{http,https}}://{host}:{port}/x.tar"
    for before in ("", " ", "\t", "PI", "%70"):
        yield from (f"{before}pipe:touch {canary}", f"{before}pipe://touch {canary}")
    for bad in map(chr, [*range(1, 32), 0x7F, 0x80, 0x85, 0x9F]):
        yield from (f"https://127.0.0.1:{port}/{bad}x.tar", f"ht{bad}tp://127.0.0.1:{port}/x.tar")
    yield f"https://127.0.0.1:{port}/{'x' * 9000}.tar"
    for way in ("..", "%2e%2e", "%252e.", "..%2f..", "link", "sub/../../.."):
        yield from (f"{root}/{way}/{canary.name}", f"file://{root}/{way}/{canary.name}")
    for path in (canary, "/etc/passwd", "~/.ssh/id_rsa", "../canary", "/proc/self/environ", "."):
        yield from (str(path), f"file://{path}", f"FILE://localhost{path}", f"file:{path}")
    yield from ("s3://b", "s3:///x", "s3://../x", "at://x", "at://did:plc:a/a.b.c/x", "://", "")


class Watch:
    """An audit hook that notes events while it is told what is watched for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url: str | None = None
        self.may_open: str | None = None
        self.seen: list[list[str]] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.url is None or event not in EVENTS:
            return
        if event == "open" and (arguments[0] == self.may_open or self._is_below(arguments[0])):
            return
        self.seen.append([self.url, event, f"{arguments[0]!r:.200}"])

    def _is_below(self, path: Any) -> bool:
        """Tell whether that is a store's folder, or a name that is opened below its handle."""
        return path == str(self.root) or path in {"link", "%2e%2e", "%252e.", "%2e.", "..%2f.."}


class Named(ShardSource):
    """A source of one shard, which was found somewhere."""

    def __init__(self, url: str) -> None:
        self.url = url

    def list_shards(self) -> list[str]:
        return [self.url]


class Shared(MemoryProvider):
    """A provider that others may write to."""

    @property
    def is_own(self) -> bool:
        return False


def read(index: atdata.Index, url: str, *, foreign: bool) -> None:
    """Read what a row names, as if somebody had written it there."""
    row = {"name": "evil", "schema_ref": REF, "data_urls": [url], "foreign": foreign}
    index.provider.commit([Put(Key("dataset", "evil", ""), json.dumps(row).encode())])
    with suppress(AtdataError):
        list(atdata.load_dataset("@local/evil", DictSample, index=index, split="train"))


def register(index: atdata.Index, url: str, *, foreign: bool) -> None:
    """Register a dataset there, as its owner may."""
    dataset = atdata.Dataset(Named(url), sample_type=DictSample)
    with suppress(AtdataError):
        index.add_entry(dataset, name="evil", schema_ref=REF, foreign=foreign)


def main(folder: Path, port: int) -> None:
    """Have all URLs read, and print how many there were and what happened."""
    canary, root = folder / "canary", folder / "store"
    (root / "link").parent.mkdir()
    (root / "link").symlink_to(folder)
    store = atdata.LocalDiskStore(root)
    own = atdata.Index(provider=MemoryProvider(), data_store=store)
    shared = atdata.Index(provider=Shared(), data_store=store)
    watch = Watch(root)
    found = list(dict.fromkeys(urls(canary, root, port)))
    # What is imported is imported before anything is watched.
    generate_cid({})
    for watched in (None, *found):
        watch.url = watched
        url = watched or "nothing://{a,b}"
        for index, foreign in ((shared, False), (own, True), (shared, True)):
            read(index, url, foreign=foreign)
            register(index, url, foreign=foreign)
        with suppress(AtdataError):
            NetworkSource([url], network=Network()).open_shard(url)
        # One's own index may name files.
        watch.may_open = local_path(url)
        read(own, url, foreign=False)
        watch.may_open = None
    watch.url = None
    print(json.dumps({"urls": len(found), "seen": watch.seen}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
