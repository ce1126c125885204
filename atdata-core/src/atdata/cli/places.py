"""The home, the index and the store that commands work with, and whether they can be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from atdata.cli.indexes import open_index
from atdata.cli.installed import Problem
from atdata.errors import AtdataError
from atdata.home import home
from atdata.index import Index
from atdata.plugins.installed import FAILURES, summary

_ANOTHER_HOME = "make it readable and writable, or let ATDATA_HOME name another folder"
_ANOTHER_INDEX = "give another one with --index or ATDATA_INDEX, or mend this one"
_ANOTHER_STORE = "give another one with --store, or mend this one"


class Places(NamedTuple):
    """What was found, by name, and what is wrong with it."""

    facts: dict[str, str | int]
    problems: list[Problem]


def look_at_places(index: str | None, store: str | None) -> Places:
    """Open the index and look into its store; never fails, and makes nothing."""
    facts: dict[str, str | int] = {}
    problems = [*_look_at_home(facts)]
    if not problems or index is not None:
        problems += _look_at_index(facts, index, store)
    return Places(facts, problems)


def _look_at_home(facts: dict[str, str | int]) -> Iterator[Problem]:
    try:
        folder = home()
    except AtdataError as error:
        yield Problem("home", str(error), _ANOTHER_HOME)
        return
    facts["home"] = f"{folder}{'' if folder.exists() else ' (not made yet)'}"
    nearest = next(one for one in (folder, *folder.absolute().parents) if _is_there(one))
    yield from _folder_problems("home", nearest, _ANOTHER_HOME)


def _look_at_index(
    facts: dict[str, str | int], where: str | None, store: str | None
) -> Iterator[Problem]:
    if where is None and not (home() / "index.db").exists():
        facts["index"] = f"none yet; the first dataset makes {home() / 'index.db'}"
        return
    try:
        with closing(open_index(where, store)) as index:
            facts["index"] = repr(index.provider)
            facts["datasets"] = sum(1 for _ in index.datasets)
            yield from _look_at_store(facts, index)
    except FAILURES as error:
        yield Problem("index", _said(error), _ANOTHER_INDEX)


def _look_at_store(facts: dict[str, str | int], index: Index) -> Iterator[Problem]:
    store: Any = index.data_store
    facts["store"] = "none" if store is None else repr(store)
    root = getattr(store, "root", None)
    if isinstance(root, Path) and _is_there(root):
        yield from _folder_problems("store", root, _ANOTHER_STORE)
    try:
        # Nothing is there, so that no store has to list much.
        next(iter(store.list("atdata-doctor/")), None) if hasattr(store, "list") else None
    except FAILURES as error:
        yield Problem("store", _said(error), _ANOTHER_STORE)


def _is_there(path: Path) -> bool:
    # A folder that may not be entered hides what is in it.
    return os.path.lexists(path)


def _folder_problems(subject: str, folder: Path, remedy: str) -> Iterator[Problem]:
    if not folder.is_dir():
        yield Problem(subject, f"{folder} is not a folder", remedy)
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Problem(subject, f"the folder {folder} cannot be read and written", remedy)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, AtdataError) else summary(error)
