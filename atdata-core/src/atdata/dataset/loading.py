"""``load_dataset``: a dataset by path, pattern, URL, or name in an index."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from atdata import plugins
from atdata.dataset.braces import common_start, expand_all
from atdata.dataset.dataset import Dataset
from atdata.dataset.files import find_files, fixed_folder
from atdata.dataset.source import as_source
from atdata.dataset.splits import DEFAULT_SPLIT, DatasetDict, group_by_split
from atdata.errors import NoDataFilesError
from atdata.protocols import AbstractIndex, IndexEntry

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T")

DataFiles = str | Sequence[str] | Mapping[str, str | Sequence[str]]

_REFERENCE = re.compile(r"@([^/]+)/|at://|atdata://([^/]+)/")


@overload
def load_dataset(
    path: str | os.PathLike[str],
    sample_type: type[T],
    *,
    split: str,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
) -> Dataset[T]: ...
@overload
def load_dataset(
    path: str | os.PathLike[str],
    sample_type: type[T],
    *,
    split: None = None,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
) -> DatasetDict[T]: ...
@overload
def load_dataset(
    path: str | os.PathLike[str],
    sample_type: None = None,
    *,
    split: str,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
) -> Dataset[Any]: ...
@overload
def load_dataset(
    path: str | os.PathLike[str],
    sample_type: None = None,
    *,
    split: None = None,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
) -> DatasetDict[Any]: ...
def load_dataset(
    path: str | os.PathLike[str],
    sample_type: type[Any] | None = None,
    *,
    split: str | None = None,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
) -> Dataset[Any] | DatasetDict[Any]:
    """Load a dataset from files, URLs, or an index.

    ``path`` is a file, folder, glob or brace pattern, a URL of these forms, or a reference:
    ``@local/name``, ``@handle/name``, ``atdata://...`` or ``at://...``. Splits are told apart by
    the names of files and folders, and what names none is ``train``. ``data_files`` names files
    below the path instead: one pattern, several, or several by split. Without ``sample_type``
    samples are of the type the index knows, or ``DictSample``. ``streaming`` is remembered and
    changes nothing, as datasets always stream. References without ``index`` go to the default
    index, or to the plugin that resolves them.

    Returns the dataset of one split if ``split`` is given, else all of them in a ``DatasetDict``.

    Raises:
        NoDataFilesError: nothing is at the path.
        SplitNotFoundError: there is no such split.
        NotFoundError: the index has no such dataset.
    """
    path = os.fspath(path)
    if match := _REFERENCE.match(path):
        if data_files is not None:
            raise TypeError("data_files names files below a path; an index knows those it holds")
        splits = _from_index(path, match, sample_type, index)
    else:
        files = _found_files(path) if data_files is None else _listed_files(path, data_files)
        splits = {
            name: Dataset(as_source(urls), sample_type=sample_type) for name, urls in files.items()
        }
    found: DatasetDict[Any] = DatasetDict(splits, sample_type, streaming)
    return found if split is None else found.choose(split)


def _found_files(path: str) -> dict[str, list[str]]:
    return group_by_split(find_files(path), fixed_folder(path))


def _listed_files(folder: str, data_files: DataFiles) -> dict[str, list[str]]:
    by_split = data_files if isinstance(data_files, Mapping) else {DEFAULT_SPLIT: data_files}
    if not by_split:
        raise NoDataFilesError("data_files is empty; name the files of at least one split")
    return {split: _all_matching(folder, patterns) for split, patterns in by_split.items()}


def _all_matching(folder: str, patterns: str | Sequence[str]) -> list[str]:
    several = [patterns] if isinstance(patterns, str) else patterns
    paths = [name if "://" in name else os.path.join(folder, name) for name in several]
    # A file that two patterns match is one file.
    return list(dict.fromkeys(file for path in paths for file in find_files(path)))


def _from_index(
    path: str, match: re.Match[str], sample_type: type[Any] | None, index: AbstractIndex | None
) -> dict[str, Dataset[Any]]:
    if index is None:
        resolve: Any = plugins.load("authority", _authority(match))
        index = resolve(path)
    entry = index.get_dataset(path.removeprefix("@local/"))
    return entry_datasets(entry, index, sample_type)


def _authority(match: re.Match[str]) -> Literal["local", "@", "at"]:
    """Name who resolves a reference: the default index, or whoever knows handles or AT URIs."""
    if match[0] == "at://":
        return "at"
    return "local" if "local" in (match[1], match[2]) else "@"


def entry_datasets(
    entry: IndexEntry, index: AbstractIndex, sample_type: type[Any] | None = None
) -> dict[str, Dataset[Any]]:
    """Make the datasets of an index entry, by split.

    Shards are opened through the index where it says how (``create_entry_source``, which knows the
    entry, or ``create_source``), else by their URLs.
    """
    if not entry.data_urls:
        raise NoDataFilesError(f"dataset {entry.name!r} has no shards", name=entry.name)
    kind = sample_type or index.decode_schema(entry.schema_ref)
    create_source = getattr(index, "create_source", as_source)
    if hasattr(index, "create_entry_source"):
        create_source = partial(index.create_entry_source, entry)
    shards: Any = list(getattr(entry, "shards", None) or ())
    counts = {shard.url: shard.count for shard in shards}
    return {
        split: Dataset(create_source(urls), sample_type=kind).with_info(
            metadata=entry.metadata,
            count=sum(counts[url] for url in urls) if counts.keys() >= set(urls) else None,
        )
        for split, urls in entry_splits(entry, shards).items()
    }


def entry_splits(entry: IndexEntry, shards: Sequence[Any]) -> dict[str, list[str]]:
    """Group an entry's shards by the splits they were written for, else by their names."""
    if not any(shard.split for shard in shards):
        urls = expand_all(entry.data_urls)
        folder = os.path.dirname(common_start(urls) if len(urls) > 1 else urls[0])
        return group_by_split(urls, folder)
    groups: dict[str, list[str]] = {}
    for shard in shards:
        groups.setdefault(shard.split or DEFAULT_SPLIT, []).append(shard.url)
    return groups
