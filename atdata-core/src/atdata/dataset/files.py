"""Finding the files that a path, pattern or URL given to ``load_dataset`` stands for."""

from __future__ import annotations

import glob
import os
import re
from typing import Any, cast

from atdata.errors import NoDataFilesError, PluginNotFoundError, StorageError
from atdata.dataset.url import expand_braces, local_path, redacted

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
        raise NoDataFilesError(f"no data files at {redacted(path)}; give a .tar file, a folder or a pattern")
    return found


def fixed_folder(path: str) -> str:
    """Return the folder above the first variable part of a pattern, where splits may begin.

    The folder just above a pattern or file counts as variable: ``train/*.tar`` says the split.
    """
    if local_path(path) is not None and os.path.isdir(os.path.expanduser(path)):
        return path.rstrip("/")
    fixed = re.split(r"[*?\[{]", path, maxsplit=1)[0]
    return os.path.dirname(os.path.dirname(fixed))


def _match(pattern: str) -> list[str]:
    local = local_path(pattern)
    if local is None:
        return _match_remote(pattern) if _WILDCARD.search(pattern) else [pattern]
    if os.path.isdir(local):
        return sorted(glob.glob(os.path.join(glob.escape(local), "**", f"*{SUFFIX}"), recursive=True))
    if os.path.exists(local):
        return [local]
    if _WILDCARD.search(local):
        return sorted(file for file in glob.glob(local, recursive=True) if os.path.isfile(file))
    raise NoDataFilesError(f"no data file at {local}", path=local)


def _match_remote(pattern: str) -> list[str]:
    # 79 ms, and needed for remote patterns alone.
    import fsspec

    try:
        system, path = cast("tuple[Any, str]", fsspec.core.url_to_fs(pattern))
        return sorted(system.unstrip_protocol(file) for file in system.glob(path))
    except (ImportError, ValueError) as error:
        raise PluginNotFoundError(f"nothing installed lists {redacted(pattern)}: {error}") from error
    except (OSError, NotImplementedError) as error:
        raise StorageError(f"{redacted(pattern)} cannot be listed; name the files instead") from error
