"""Finding the files that a path, pattern or URL given to ``load_dataset`` stands for."""

from __future__ import annotations

import glob
import os
import re

from atdata.dataset.braces import expand_braces
from atdata.dataset.source import list_matching
from atdata.dataset.url import local_path, redacted
from atdata.errors import NoDataFilesError

SUFFIX = ".tar"

_WILDCARD = re.compile(r"[*?\[]")


def find_files(path: str) -> list[str]:
    """Return the shards a path stands for, sorted where it is a folder or has wildcards.

    A folder stands for every ``.tar`` file anywhere below it; brace patterns are expanded first.

    Raises:
        NoDataFilesError: nothing is there, or a named file is missing.
    """
    found = [file for pattern in expand_braces(path) for file in _match(pattern)]
    if not found:
        raise NoDataFilesError(
            f"no data files at {redacted(path)}; give a .tar file, a folder or a pattern"
        )
    return found


def fixed_folder(path: str) -> str:
    """Return the folder above the first variable part of a pattern, where splits may begin.

    The folder just above a pattern or file counts as variable: ``train/*.tar`` says the split.
    """
    local = local_path(path)
    if local is not None and os.path.isdir(local):
        return local.rstrip("/")
    fixed = re.split(r"[*?\[{]", path if local is None else local, maxsplit=1)[0]
    return os.path.dirname(os.path.dirname(fixed))


def _match(pattern: str) -> list[str]:
    local = local_path(pattern)
    if local is None:
        has_wildcards = _WILDCARD.search(pattern)
        return list_matching(pattern, redacted(pattern)) if has_wildcards else [pattern]
    if os.path.isdir(local):
        below = os.path.join(glob.escape(local), "**", f"*{SUFFIX}")
        return sorted(glob.glob(below, recursive=True))
    if os.path.exists(local):
        return [local]
    if _WILDCARD.search(local):
        return sorted(file for file in glob.glob(local, recursive=True) if os.path.isfile(file))
    raise NoDataFilesError(f"no data file at {local}", path=local)
