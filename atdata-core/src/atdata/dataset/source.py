"""What all data sources share, and how anything a dataset is made from becomes one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from atdata import plugins
from atdata.dataset.remote import list_remote, source_kind
from atdata.dataset.url import URLSource, check_distinct
from atdata.errors import NoDataFilesError, PluginNotFoundError, UntrustedInputError
from atdata.protocols import DataSource

# What a dataset can be made from.
Where = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | DataSource

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PIPE = re.compile(r"\s*pipe:", re.IGNORECASE)
_WEB = frozenset({"http", "https"})
_BUILT_IN = _WEB | {"file"}


def as_source(where: Where | Any) -> Any:
    """Make a data source of a URL or path, a list of them, or what is a source already.

    URLs of a scheme that a plugin serves go to that plugin's source.
    """
    if isinstance(where, str | os.PathLike):
        where = [where]
    if not isinstance(where, Sequence):
        if not hasattr(where, "open_shard"):
            raise TypeError(
                f"a dataset is made from a URL, a list of URLs or a source, not {where!r:.80}"
            )
        return where
    urls = [os.fspath(url) for url in where]
    if not urls:
        raise NoDataFilesError("a dataset is made from at least one URL; the list is empty")
    for url in urls:
        _refuse_pipe(url)
    schemes = {match[1].lower() if (match := _SCHEME.match(url)) else "file" for url in urls}
    if len(schemes) == 1 and not schemes <= _BUILT_IN:
        return _from_plugin(schemes.pop(), urls)
    return URLSource(urls)


def _refuse_pipe(url: str) -> None:
    if _PIPE.match(url):
        raise UntrustedInputError(
            "pipe: URLs run a command and are never opened; save the command's output to a file",
            scheme="pipe",
        )


def _from_plugin(scheme: str, urls: list[str]) -> Any:
    try:
        kind: Any = plugins.load("data source", scheme)
    except PluginNotFoundError as missing:
        # fsspec serves many schemes that need no plugin of ours.
        import fsspec

        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            raise missing from None
        except ImportError as error:
            hint = f"{missing}; without a plugin: {error}"
            raise PluginNotFoundError(hint, **missing.details) from error
        return URLSource(urls)
    return kind.from_urls(urls)


def is_on_web(url: str) -> bool:
    """Whether a URL is one of a web server."""
    return (match := _SCHEME.match(url)) is not None and match[1].lower() in _WEB


def can_list(url: str) -> bool:
    """Whether a folder of a URL's scheme is sure to list its files: by a plugin, or by fsspec."""
    kind = source_kind(url.partition("://")[0].lower())
    return not is_on_web(url) and (kind is None or hasattr(kind, "find_urls"))


def list_matching(pattern: str, shown: str) -> list[str]:
    """List the URLs that a glob pattern stands for, sorted.

    A plugin's source does that if it has ``find_urls``, and else fsspec; a web server does if it
    shows its folders as pages. ``NoDataFilesError`` where nothing can be listed.
    """
    kind = None if is_on_web(pattern) else source_kind(pattern.partition("://")[0].lower())
    find = partial(list_remote, shown=shown) if kind is None else getattr(kind, "find_urls", None)
    found = [] if find is None else list(find(pattern))
    if not found and (find is None or is_on_web(pattern)):
        raise NoDataFilesError(
            f"no data files at {shown}: its server does not list files there; name the shards, as "
            "in data-{000..009}.tar",
            path=shown,
        )
    return found


def shard_ids(source: Any) -> list[str]:
    """Return the identifiers of a source's shards, whichever of the two documented ways it has.

    ``DataFilesError`` if one of them is there twice.
    """
    lister = getattr(source, "list_shards", None)
    shards = list(lister() if lister is not None else source.shard_list)
    check_distinct(shards)
    return shards
