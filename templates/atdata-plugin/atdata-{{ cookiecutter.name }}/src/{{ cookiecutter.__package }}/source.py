"""``{{ cookiecutter.__class }}Source``: shards read from ``{{ cookiecutter.name }}://`` URLs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, Self

from atdata.dataset import ShardSource
from atdata.dataset.braces import expand_braces
from atdata.errors import ShardNotFoundError
from {{ cookiecutter.__package }}.files import SCHEME, open_file

_LOCAL = tuple(f"{SCHEME}{protocol}/" for protocol in ("file", "local", "memory"))


class {{ cookiecutter.__class }}Source(ShardSource):
    """Shards at ``{{ cookiecutter.name }}://memory/shards/0.tar``, which fsspec calls ``memory://shards/0.tar``.

    URLs may hold brace patterns. The options are those of the filesystem, such as its credentials;
    they are pickled with the source, and not shown.
    """

    def __init__(self, urls: Sequence[str], **storage_options: Any) -> None:
        self._urls = [shard for url in urls for shard in expand_braces(url)]
        self._options = storage_options

    @classmethod
    def from_urls(cls, urls: Sequence[str]) -> Self:
        """Make a source of URLs that need no options, as ``Dataset(url)`` does."""
        return cls(urls)

    @property
    def is_remote(self) -> bool:
        """Whether reading ahead is worth a thread."""
        return not all(url.startswith(_LOCAL) for url in self._urls)

    def list_shards(self) -> list[str]:
        """Return the URLs in order."""
        return list(self._urls)

    def open_shard(self, shard_id: str) -> IO[bytes]:
        """Open one of the listed shards; ``ShardNotFoundError`` if it is not there."""
        if shard_id not in self._urls:
            raise ShardNotFoundError(f"{shard_id!r:.300} is not a shard of {self}", shard=shard_id)
        return open_file(shard_id, self._options)

    def __repr__(self) -> str:
        return f"{{ cookiecutter.__class }}Source({len(self._urls)} shards)"
