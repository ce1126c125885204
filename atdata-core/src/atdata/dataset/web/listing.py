"""Finding what a pattern stands for where a server shows its folders as pages of links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from html import unescape
from urllib.parse import unquote

from atdata.dataset.web.address import Address
from atdata.dataset.web.stream import WebStream
from atdata.errors import AtdataError, InvalidNameError, LimitExceededError, ShardNotFoundError

# What a server can make us read.
MAX_PAGES = 1000
MAX_PAGE = 16 << 20

# In one go over the page, whatever is on it.
_LINK = re.compile(r"<a\s[^<>]*?\bhref\s*=\s*([\"'])([^\"'<>]+)\1", re.IGNORECASE)
_MAGIC = re.compile(r"[*\[]")
_PARTS = re.compile(r"(https?://[^/?#]*)([^?#]*)([^#]*)", re.IGNORECASE)


def list_web(pattern: str, shown: str) -> list[str]:
    """Return the URLs that a pattern with ``*``, ``**`` or ``[...]`` stands for, sorted.

    A ``?`` begins the query, which stays with every URL. A folder that is not there has no files.

    Raises:
        LimitExceededError: there are too many or too large pages.
        StorageError: a page cannot be read.
    """
    match = _PARTS.fullmatch(pattern.partition("#")[0])
    if match is None:
        raise InvalidNameError(f"{shown} is not a valid web URL", url=shown)
    server, path, query = match.groups()
    names = path.removeprefix("/").split("/")
    return sorted(set(_Folders(server, query, shown).find("/", names)))


class _Folders:
    """The pages of one server, each read once, and not too many of them."""

    def __init__(self, server: str, query: str, shown: str) -> None:
        self._server = server
        self._query = query
        self._shown = shown
        self._known: dict[str, list[str]] = {}

    def find(self, folder: str, names: list[str]) -> Iterator[str]:
        """Yield the URLs below a folder that some patterns, one for each level, stand for."""
        name, rest = names[0], names[1:]
        if name == "**":
            yield from self.find(folder, rest or ["*"])
        below = self._links(folder) if _MAGIC.search(name) else [f"{name}/" if rest else name]
        for found in below:
            is_folder = found.endswith("/")
            if name == "**" and is_folder:
                yield from self.find(folder + found, names)
            elif found == name or fnmatchcase(unquote(found.rstrip("/")), name):
                if rest and is_folder:
                    yield from self.find(folder + found, rest)
                elif found and not rest and not is_folder:
                    yield f"{self._server}{folder}{found}{self._query}"

    def _links(self, folder: str) -> list[str]:
        """Return what lies in a folder, spelled as its page does; folders end with a slash."""
        if folder not in self._known:
            if len(self._known) == MAX_PAGES:
                message = f"{self._shown} stands for more than {MAX_PAGES:,} folders"
                raise LimitExceededError(message, url=self._shown, limit=MAX_PAGES)
            links = (match[2] for match in _LINK.finditer(self._read(folder)))
            paths = (self._path(folder, unescape(link)) for link in links)
            names = (path.removeprefix(folder) for path in paths if path.startswith(folder))
            found = (name for name in names if "/" not in name[:-1] and name.strip("/"))
            self._known[folder] = list(dict.fromkeys(found))
        return self._known[folder]

    def _path(self, folder: str, link: str) -> str:
        """Return the path of a link on this server, or nothing if it leads to another."""
        here = Address.from_url(f"{self._server}{folder}", self._shown)
        try:
            there = here.redirected(link, self._shown)
        except AtdataError:
            return ""
        return there.target.partition("?")[0] if there.server == here.server else ""

    def _read(self, folder: str) -> str:
        try:
            page = WebStream(f"{self._server}{folder}{self._query}", self._shown)
        except ShardNotFoundError:
            return ""
        with closing(page):
            data = bytearray()
            while part := page.read(MAX_PAGE):
                data += part
                if len(data) > MAX_PAGE:
                    message = f"a folder of {self._shown} is listed in more than {MAX_PAGE:,} bytes"
                    raise LimitExceededError(message, url=self._shown, limit=MAX_PAGE)
        return data.decode("utf-8", "replace")
