"""``load_dataset``: a dataset by path, pattern, URL, or name in an index."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from atdata import plugins
from atdata.dataset.braces import common_start, expand_all
from atdata.dataset.dataset import Dataset
from atdata.dataset.files import find_files, fixed_folder, once, once_each
from atdata.dataset.named import NamedSource
from atdata.dataset.registered import Registered
from atdata.dataset.source import as_source, shard_ids
from atdata.dataset.splits import DEFAULT_SPLIT, DatasetDict, group_by_split
from atdata.errors import CorruptDataError, NoDataFilesError
from atdata.protocols import AbstractIndex, IndexEntry
from atdata.trust import Policy, check_allowed

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
    verify: bool | None = None,
    allow: Sequence[str] = (),
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
    verify: bool | None = None,
    allow: Sequence[str] = (),
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
    verify: bool | None = None,
    allow: Sequence[str] = (),
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
    verify: bool | None = None,
    allow: Sequence[str] = (),
) -> DatasetDict[Any]: ...
def load_dataset(  # noqa: PLR0913 -- documented so
    path: str | os.PathLike[str],
    sample_type: type[Any] | None = None,
    *,
    split: str | None = None,
    data_files: DataFiles | None = None,
    streaming: bool = False,
    index: AbstractIndex | None = None,
    verify: bool | None = None,
    allow: Sequence[str] = (),
) -> Dataset[Any] | DatasetDict[Any]:
    """Load a dataset from files, URLs, or an index.

    ``path`` is a file, folder, glob or brace pattern, a URL of these forms, or a reference:
    ``@local/name``, ``@handle/name``, ``atdata://...`` or ``at://...``. Splits are told apart by
    the names of files and folders, and what names none is ``train``. ``data_files`` names files
    below the path instead: one pattern, several, or several by split. Without ``sample_type``
    samples are of the type the index knows, or ``DictSample``. ``streaming`` is remembered and
    changes nothing, as datasets always stream. References without ``index`` go to the default
    index, or to the plugin that resolves them.

    What an index knows of the number of samples and the size of each shard is compared whenever a
    dataset is read by its name, and its SHA-256 where the network or a stranger stands between.
    With ``verify=True`` it is compared for local files too, and with ``verify=False`` never; the
    error is a ``CorruptDataError`` when the end of the shard is reached.

    What an index or a record names is opened by rules, as others may have written it; ``allow``
    lists starts of URLs that are opened whoever named them, each ending in ``/``. What ``path``
    names itself is always opened.

    Returns the dataset of one split if ``split`` is given, else all of them in a ``DatasetDict``.

    Raises:
        NoDataFilesError: nothing is at the path.
        SplitNotFoundError: there is no such split.
        NotFoundError: the index has no such dataset.
        UntrustedInputError: the index names a URL that it may not name.
    """
    path = os.fspath(path)
    if match := _REFERENCE.match(path):
        if data_files is not None:
            raise TypeError("data_files names files below a path; an index knows those it holds")
        splits = _from_index(path, match, sample_type, index, verify=verify, allow=allow)
    elif verify:
        raise TypeError("verify=True compares shards with what an index knows; load them by name")
    else:
        files = _found_files(path) if data_files is None else _listed_files(path, data_files)
        splits = {
            name: Dataset(as_source(urls), sample_type=sample_type) for name, urls in files.items()
        }
    found: DatasetDict[Any] = DatasetDict(splits, sample_type, streaming)
    return found if split is None else found.choose(split)


def _found_files(path: str) -> dict[str, list[str]]:
    return once_each(group_by_split(find_files(path), fixed_folder(path)))


def _listed_files(folder: str, data_files: DataFiles) -> dict[str, list[str]]:
    by_split = data_files if isinstance(data_files, Mapping) else {DEFAULT_SPLIT: data_files}
    if not by_split:
        raise NoDataFilesError("data_files is empty; name the files of at least one split")
    return {split: _all_matching(folder, patterns) for split, patterns in by_split.items()}


def _all_matching(folder: str, patterns: str | Sequence[str]) -> list[str]:
    several = [patterns] if isinstance(patterns, str) else patterns
    paths = [name if "://" in name else os.path.join(folder, name) for name in several]
    # A file that two patterns match is one file.
    return once(file for path in paths for file in find_files(path))


def _from_index(
    path: str,
    match: re.Match[str],
    sample_type: type[Any] | None,
    index: AbstractIndex | None,
    *,
    verify: bool | None,
    allow: Sequence[str],
) -> dict[str, Dataset[Any]]:
    if index is None:
        resolve: Any = plugins.load("authority", _authority(match))
        index = resolve(path)
    entry = index.get_dataset(path.removeprefix("@local/"))
    return entry_datasets(entry, index, sample_type, verify=verify, allow=allow)


def _authority(match: re.Match[str]) -> Literal["local", "@", "at"]:
    """Name who resolves a reference: the default index, or whoever knows handles or AT URIs."""
    if match[0] == "at://":
        return "at"
    return "local" if "local" in (match[1], match[2]) else "@"


def entry_datasets(
    entry: IndexEntry,
    index: AbstractIndex,
    sample_type: type[Any] | None = None,
    *,
    verify: bool | None = None,
    allow: Sequence[str] = (),
) -> dict[str, Dataset[Any]]:
    """Make the datasets of an index entry, by split, which check what the entry knows of shards.

    Shards are opened through the index where it says how (``create_entry_source``, which knows the
    entry, or ``create_source``), else by their URLs. Digests are compared with ``verify``, or by
    default where the network or a stranger stands between.
    """
    if not entry.data_urls:
        raise NoDataFilesError(f"dataset {entry.name!r} has no shards", name=entry.name)
    kind = sample_type or index.decode_schema(entry.schema_ref)
    shards: Any = list(getattr(entry, "shards", None) or ())
    known = {shard.url: shard for shard in shards}
    found = {}
    for split, urls in entry_splits(entry, shards).items():
        source = entry_source(entry, urls, index, allow)
        own = [known[url] for url in urls] if known else []
        registered = _registered(entry, source, own, verify=verify)
        dataset = Dataset(source, sample_type=kind)
        found[split] = dataset.with_info(metadata=entry.metadata, registered=registered)
    return found


def entry_source(
    entry: IndexEntry, urls: Sequence[str], index: AbstractIndex, allow: Sequence[str] = ()
) -> Any:
    """Make a data source of some of an entry's URLs, by the rules for its index.

    What an index that says nothing of it names is opened as what a shared index names.
    """
    more = {"allow": allow} if allow else {}
    if hasattr(index, "create_entry_source"):
        return index.create_entry_source(entry, urls, **more)
    if hasattr(index, "create_source"):
        return index.create_source(urls, **more)
    return NamedSource(urls, Policy("shared index", check_allowed(allow)))


def _registered(
    entry: IndexEntry, source: Any, shards: Sequence[Any], *, verify: bool | None
) -> Registered:
    """Say what an entry knows of the shards of a source, which has them in the same order."""
    if verify is None:
        is_checked = getattr(source, "checks_digests", False)
        is_near = not getattr(source, "is_remote", False) and not getattr(entry, "foreign", False)
        verify = not is_checked and not is_near
    if not shards:
        return Registered(entry.name)
    ids = shard_ids(source)
    if len(ids) != len(shards):
        raise CorruptDataError(
            f"{source!r} lists {len(ids)} shards for dataset {entry.name!r}, which has "
            f"{len(shards)}; the index's store must return one for each URL",
            dataset=entry.name,
        )
    return Registered(entry.name, dict(zip(ids, shards, strict=True)), digests=verify)


def entry_splits(entry: IndexEntry, shards: Sequence[Any]) -> dict[str, list[str]]:
    """Group an entry's shards by the splits they were written for, else by their names."""
    urls = expand_all(entry.data_urls)
    if shards and [shard.url for shard in shards] != urls:
        raise CorruptDataError(
            f"dataset {entry.name!r} names other shards than its index knows the sizes of; "
            "write or copy it again",
            dataset=entry.name,
        )
    if not any(shard.split for shard in shards):
        folder = os.path.dirname(common_start(urls) if len(urls) > 1 else urls[0])
        return group_by_split(urls, folder)
    groups: dict[str, list[str]] = {}
    for shard in shards:
        groups.setdefault(shard.split or DEFAULT_SPLIT, []).append(shard.url)
    return groups
