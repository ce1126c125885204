"""Splits: which one a file belongs to, and the dict of datasets that loading several returns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Generic

from atdata.dataset.dataset import ST, Dataset
from atdata.errors import SplitNotFoundError

DEFAULT_SPLIT = "train"

_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
}


class DatasetDict(dict[str, Dataset[ST]], Generic[ST]):
    """Datasets by split name, in order of discovery.

    With a single split, ``ordered``, ``shuffled``, ``as_type`` and ``list_shards`` work here too.
    An unknown split is a ``SplitNotFoundError``, which is a ``KeyError`` as well.
    """

    def __init__(
        self,
        splits: Mapping[str, Dataset[ST]] | None = None,
        sample_type: type[ST] | None = None,
        streaming: bool = False,  # noqa: FBT001, FBT002 -- documented so
    ) -> None:
        super().__init__(splits or {})
        self._sample_type = sample_type
        self._streaming = streaming

    @property
    def sample_type(self) -> type[ST] | None:
        """The type of the samples in all splits."""
        first = next(iter(self.values()), None)
        return self._sample_type or (first.sample_type if first is not None else None)

    @property
    def streaming(self) -> bool:
        """Whether streaming was asked for; datasets always stream."""
        return self._streaming

    @property
    def num_shards(self) -> dict[str, int]:
        """How many shards each split has."""
        return {name: len(ds.list_shards()) for name, ds in self.items()}

    def ordered(self, *args: Any, **kwargs: Any) -> Any:
        """Iterate the only split in order, as ``Dataset.ordered`` does."""
        return self._only("ordered").ordered(*args, **kwargs)

    def shuffled(self, *args: Any, **kwargs: Any) -> Any:
        """Iterate the only split in random order, as ``Dataset.shuffled`` does."""
        return self._only("shuffled").shuffled(*args, **kwargs)

    def as_type(self, other: type[Any]) -> Dataset[Any]:
        """View the only split as another type, as ``Dataset.as_type`` does."""
        return self._only("as_type").as_type(other)

    def list_shards(self) -> list[str]:
        """Return the shards of the only split."""
        return self._only("list_shards").list_shards()

    def choose(self, split: str) -> Dataset[ST]:
        """Return one split; ``SplitNotFoundError`` if there is none of that name."""
        return self[split]

    def __missing__(self, split: str) -> Dataset[ST]:
        raise SplitNotFoundError(
            f"Split {split!r} not found; there is {', '.join(map(repr, self)) or 'none'}",
            split=split,
            available=list(self),
        )

    def _only(self, method: str) -> Dataset[ST]:
        if len(self) != 1:
            raise SplitNotFoundError(
                f"Split to use with {method}() is unclear among {', '.join(self) or 'none'}; "
                "choose one, as in ds['train']",
                available=list(self),
            )
        return next(iter(self.values()))

    def __repr__(self) -> str:
        return f"DatasetDict({dict(self)!r})"


def split_of(path: str, folders: int) -> str | None:
    """Tell the split of a file from its name, else from the nearest of its last few folders."""
    *parents, base = re.split(r"[/\\]", path.partition("?")[0])
    for token in re.split(r"[-_.]", base)[:-1]:
        if split := _ALIASES.get(token.rstrip("0123456789").lower()):
            return split
    nearest = reversed(parents[-folders:] if folders else [])
    known = (_ALIASES.get(folder.lower()) for folder in nearest)
    return next((split for split in known if split), None)


def group_by_split(paths: Iterable[str], root: str) -> dict[str, list[str]]:
    """Sort files into splits by their names and the folders below a root.

    Splits come in the order in which they are used: train, validation, test.
    """
    groups: dict[str, list[str]] = {name: [] for name in dict.fromkeys(_ALIASES.values())}
    for path in paths:
        below = path[len(root) :].replace(os.sep, "/")
        folders = (below.strip("/") if root else below).count("/")
        groups[split_of(path, folders) or DEFAULT_SPLIT].append(path)
    return {name: files for name, files in groups.items() if files}
