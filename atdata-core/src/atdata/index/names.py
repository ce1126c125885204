"""What datasets, schema classes and versions may be called, and how versions are ordered."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar
from urllib.parse import quote

from atdata.errors import InvalidNameError, UnknownNameError

P = ParamSpec("P")
T = TypeVar("T")

MAX_DATASET_BYTES = 200
MAX_CLASS_LENGTH = 100
MAX_VERSION_LENGTH = 100
# The longest part of a file name that still leaves room for suffixes on all file systems.
MAX_PATH_PART = 180

_FORBIDDEN = frozenset('@\\:*?"<>|%{}')
_CLASS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NUMBER = r"(?:0|[1-9][0-9]*)"
_TAG = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
# Semantic Versioning 2.0.0, https://semver.org
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_TAG}(?:\.{_TAG})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)

VersionKey = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...], str]


def check_dataset_name(name: str) -> str:
    r"""Return ``name``, or raise `InvalidNameError` that says what is wrong with it.

    A name is 1 to 200 bytes of printable UTF-8 in normal form NFC, made of segments separated by
    "/". A segment does not start with ".", "-" or a space, does not end with "." or a space, and
    holds none of ``@ \ : * ? " < > | % { }``.
    """
    if not isinstance(name, str):
        raise TypeError(f"{name!r:.80} cannot name a dataset or split: give text")
    if not name.isprintable():
        _refuse_dataset(name, "it holds characters that cannot be printed")
    if not 1 <= len(name.encode()) <= MAX_DATASET_BYTES:
        _refuse_dataset(name, f"it must take 1 to {MAX_DATASET_BYTES} bytes")
    if not unicodedata.is_normalized("NFC", name):
        _refuse_dataset(name, 'it is not in normal form; use `unicodedata.normalize("NFC", name)`')
    if forbidden := sorted(_FORBIDDEN.intersection(name)):
        _refuse_dataset(name, f"it holds {' '.join(forbidden)}")
    for segment in name.split("/"):
        if not segment:
            _refuse_dataset(name, 'a part between "/" is empty')
        if segment[0] in ".- " or segment[-1] in ". ":
            _refuse_dataset(name, f"{segment!r} starts with one of '. -' or ends with '.' or ' '")
    return name


def check_class_name(name: str) -> str:
    """Return ``name``, or raise `InvalidNameError` unless it can name a schema's class.

    That is an ASCII identifier of at most 100 characters, no keyword and no dunder.
    """
    dunder = name.startswith("__") and name.endswith("__")
    if (
        len(name) > MAX_CLASS_LENGTH
        or not _CLASS_NAME.fullmatch(name)
        or keyword.iskeyword(name)
        or dunder
    ):
        message = f"{name[:200]!r} cannot name a schema; use an ASCII identifier, no keyword"
        raise InvalidNameError(f"{message}, of at most {MAX_CLASS_LENGTH} characters", name=name)
    return name


def check_version(version: str) -> str:
    """Return ``version``, or raise `InvalidNameError` unless it is a semantic version."""
    _match_version(version)
    return version


def version_key(version: str) -> VersionKey:
    """Return what semantic versions sort by.

    Semantic Versioning gives builds of one version no order; here their text decides, so that
    "latest" is never ambiguous.
    """
    major, minor, patch, pre, build = _match_version(version).groups()
    # A release comes after its pre-releases, numbers before words.
    tags = tuple(
        (False, int(tag), "") if tag.isdigit() else (True, 0, tag)
        for tag in (pre.split(".") if pre else ())
    )
    return int(major), int(minor), int(patch), pre is None, tags, build or ""


def bump_patch(version: str) -> str:
    """Return the next release: 1.0.1 after 1.0.0, and 1.0.0 after its pre-releases."""
    major, minor, patch, is_release, *_ = version_key(version)
    return f"{major}.{minor}.{patch + is_release}"


def to_path(name: str) -> str:
    """Return the relative path that stands for a dataset's name in storage.

    Everything but ASCII letters, digits, ".", "_" and "-" is percent-encoded, and a part that
    grows too long for a file system is cut and ends in "~" and its digest. So no two names share
    a path, and none leaves the directory it is joined to. Case is kept for the reader's sake:
    where the file system ignores it, names that differ in nothing else share a directory.
    """
    return "/".join(_to_path_part(part) for part in check_dataset_name(name).split("/"))


def looked_up(find: Callable[P, T]) -> Callable[P, T]:
    """Make a lookup raise `UnknownNameError` for names that nothing can have."""

    @wraps(find)
    def find_or_refuse(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return find(*arguments, **options)
        except UnknownNameError:
            raise
        except InvalidNameError as error:
            raise UnknownNameError(error.message, **error.details) from error

    return find_or_refuse


def _to_path_part(part: str) -> str:
    # "~" would need no escape in a URL, but means a home directory to some, and a digest here.
    escaped = quote(part, safe="").replace("~", "%7E")
    if len(escaped) <= MAX_PATH_PART:
        return escaped
    digest = hashlib.sha256(part.encode()).hexdigest()[:32]
    return f"{escaped[: MAX_PATH_PART - 33]}~{digest}"


def _match_version(version: str) -> re.Match[str]:
    match = _VERSION.fullmatch(version) if len(version) <= MAX_VERSION_LENGTH else None
    if match is None:
        message = f"{version[:200]!r} is no version; use MAJOR.MINOR.PATCH such as '1.0.0'"
        raise InvalidNameError(message, version=version)
    return match


def _refuse_dataset(name: str, reason: str) -> NoReturn:
    message = f"{name[:200]!r} cannot name a dataset: {reason}; try something like 'team/mnist-v2'"
    raise InvalidNameError(message, name=name)
