"""Finding the files that a path, pattern or URL given to ``load_dataset`` stands for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from atdata.dataset.braces import common_start, expand_braces
from atdata.dataset.patterns import matches
from atdata.dataset.source import can_list, is_on_web, list_matching
from atdata.dataset.url import local_path, redacted
from atdata.errors import DataFilesError, NoDataFilesError, StorageError
from atdata.shards.compressions import other_compression, stem

_WILDCARD = re.compile(r"[*?\[]")
_HIDDEN = re.compile(r"(^|[/\\])\.")
_SHOWN = 3


def find_files(path: str) -> list[str]:
    """Return the shards a path stands for, sorted where it is a folder or has wildcards.

    A folder stands for every shard anywhere below it; brace patterns are expanded first.

    Raises:
        NoDataFilesError: nothing is there, or a named file is missing.
        DataFilesError: some of it cannot be read, or looks like another of the files again.
        StorageError: a folder cannot be looked into.
    """
    found = [file for pattern in expand_braces(path) for file in _match(pattern)]
    if not found:
        raise _nothing_at(path)
    _check_names(found)
    return found


def fixed_folder(path: str) -> str:
    """Return what lies above the first variable part of a path, where splits may begin.

    That is the path itself where nothing is variable: a file, whose own name alone says the split,
    or a folder. The folder just above a pattern counts as variable: ``train/*.tar`` says the split.
    """
    local = local_path(path)
    place = path if local is None else local
    named = _without_query(place)
    fixed = re.split(r"[*?\[{]", named, maxsplit=1)[0]
    if fixed == named or (local is not None and os.path.exists(local)):
        return place.rstrip("/")
    return os.path.dirname(os.path.dirname(fixed))


def once(files: Iterable[str]) -> list[str]:
    """Return files in order, each by the first name only that it has among them."""
    names: dict[object, str] = {}
    for file in files:
        names.setdefault(_identity(file), file)
    return list(names.values())


def once_each(splits: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the files of each split once; ``DataFilesError`` if two splits share one."""
    found = {split: once(files) for split, files in splits.items()}
    names: dict[object, str] = {}
    for file in (file for files in found.values() for file in files):
        other = names.setdefault(_identity(file), file)
        if other != file:
            raise DataFilesError(
                f"{other} and {file} are one file in two splits; remove one of them, or name the "
                "files of each split with data_files=",
                files=[other, file],
            )
    return found


def _identity(file: str) -> object:
    """Return what two names of one file have in common, links to it among them."""
    local = local_path(file)
    try:
        found = None if local is None else os.stat(local)
    except (OSError, ValueError):
        return file
    return file if found is None else (found.st_dev, found.st_ino)


def _match(pattern: str) -> list[str]:
    local = local_path(pattern)
    if local is None:
        return _match_url(pattern)
    if os.path.isdir(local):
        return _shards_of(_files_below(local))
    if os.path.exists(local):
        return [local]
    if _WILDCARD.search(local):
        return sorted(_matching(local))
    raise _nothing_at(local)


def _match_url(url: str) -> list[str]:
    shown = redacted(url)
    place = _without_query(url)
    if _WILDCARD.search(place):
        return list_matching(url, shown)
    is_folder = place.endswith("/")
    # What is called like a shard is looked at only when it is read.
    if not is_folder and (stem(place) is not None or not can_list(url)):
        return [url]
    folder = place.rstrip("/")
    below = list_matching(f"{folder}/**{url[len(place) :]}", shown)
    visible = (file for file in below if not _HIDDEN.search(file[len(folder) + 1 :]))
    return _shards_of(visible) if below or is_folder else [url]


def _without_query(url: str) -> str:
    """Return a URL up to what in one of the web begins with a question mark."""
    return url.partition("?")[0] if is_on_web(url) else url


def _matching(pattern: str) -> Iterator[str]:
    """Yield the files that a pattern stands for.

    What lies below ``**`` is found as in a folder: the standard library goes in circles of links.
    """
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from (file for file in glob.glob(pattern) if not os.path.isdir(file))
        return
    at = parts.index("**")
    above = os.path.join(os.sep.join(parts[:at]) or os.sep * (at > 0), "")
    for folder in glob.glob(above) if above else [above]:
        for file in _files_below(folder or os.curdir):
            below = os.path.relpath(file, folder or os.curdir)
            if matches(parts[at:], below.split(os.sep)):
                yield os.path.join(folder, below)


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, but no hidden ones; links are followed, not in circles."""
    folders = [(folder, frozenset({_identity(folder)}))]
    while folders:
        here, above = folders.pop()
        for entry in _entries(here):
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield entry.path
            elif (own := _identity(entry.path)) not in above:
                folders.append((entry.path, above | {own}))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be read: {error.strerror}; make it readable, or give a "
            "pattern for other files",
            url=folder,
        ) from error


def _shards_of(files: Iterable[str]) -> list[str]:
    """Return the files that are shards by their names, sorted, in whatever way compressed."""
    places = ((_without_query(file), file) for file in files)
    return sorted(
        file for place, file in places if stem(place) is not None or other_compression(place)
    )


def _check_names(files: list[str]) -> None:
    """Refuse files that are not read, and two that are one shard with and without compression."""
    others = {file: one for file in files if (one := other_compression(file)) is not None}
    if others:
        commands = sorted({one.command for one in others.values()})
        raise DataFilesError(
            f"the compression of {_shown(list(others))} is not read; decompress with "
            f"{' and '.join(commands)}{_pattern_for(files)}",
            files=list(others),
        )
    stems: dict[str, str] = {}
    for file in files:
        other = stems.setdefault(stem(file) or file, file)
        if other != file:
            raise DataFilesError(
                f"{redacted(other)} and {redacted(file)} look like one shard twice; remove one of "
                f"them{_pattern_for([other, file])}",
                files=[other, file],
            )


def _pattern_for(files: list[str]) -> str:
    """Say how to leave files out: by the ending of the first that is read."""
    endings = (file[len(name) :] for file in files if (name := stem(file)) is not None)
    if (ending := next(endings, None)) is None:
        return ""
    folder = redacted(os.path.dirname(common_start(files)))
    return f", or leave such files out by a pattern like {os.path.join(folder, '**', '*')}{ending}"


def _shown(files: list[str]) -> str:
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(map(redacted, files[:_SHOWN])) + more


def _nothing_at(path: str) -> NoDataFilesError:
    shown = redacted(path) or "an empty path"
    return NoDataFilesError(
        f"no data files at {shown}; give a .tar file, a folder or a pattern", path=shown
    )
