"""Which distributions are installed, and whether what they require is there."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import importlib_metadata
from importlib_metadata import IDistribution
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from atdata.plugins.installed import FAILURES, summary

META, CORE = "atdata", "atdata-core"


class Problem(NamedTuple):
    """What is wrong, with what, and how to mend it."""

    subject: str
    problem: str
    remedy: str


class Installed(NamedTuple):
    """Versions by name: of our distributions, and of what these can use and is installed."""

    ours: dict[str, str]
    others: dict[str, str]
    problems: list[Problem]


def look_at_installation() -> Installed:
    """Compare what our distributions require with what is installed; never fails."""
    found, problems = _distributions()
    versions = {name: one.version for name, one in found.items()}
    ours = {name: found[name] for name in sorted(found) if name.startswith("atdata")}
    extras: dict[str, set[str]] = defaultdict(set)
    for required in (one for distribution in ours.values() for one in _required(distribution)):
        extras[canonicalize_name(required.name)] |= required.extras
    for name, distribution in ours.items():
        for required in _required(distribution, extras[name]):
            problems += _compared(f"{name} {versions[name]}", required, versions)
    problems += _another_release(ours)
    usable = {canonicalize_name(one.name) for d in ours.values() for one in _requirements(d)}
    others = {
        str(name): versions[name] for name in sorted(usable - ours.keys()) if name in versions
    }
    return Installed({name: versions[name] for name in ours}, others, problems)


def describe_system() -> dict[str, str]:
    """Say which Python runs where."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "environment": sys.prefix,
        "system": platform.platform(),
        "encoding": f"{sys.getfilesystemencoding()} for files, {sys.stdout.encoding} for output",
    }


def _distributions() -> tuple[dict[str, IDistribution], list[Problem]]:
    """Return distributions by their normal names; the first on the path is the one imported."""
    found: dict[str, IDistribution] = {}
    problems = []
    for distribution in importlib_metadata.distributions():
        place = str(distribution.locate_file(""))
        try:
            # What an interrupted installation leaves has neither.
            found.setdefault(canonicalize_name(distribution.name), _whole(distribution))
        except FAILURES as error:
            remedy = "remove its .dist-info folder, or install it again"
            problem = f"the metadata of a distribution cannot be read: {summary(error)}"
            problems.append(Problem(place, problem, remedy))
    return found, problems


def _whole(distribution: IDistribution) -> IDistribution:
    if not isinstance(distribution.version, str):
        raise TypeError("it has no version")
    return distribution


def _requirements(distribution: IDistribution) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue


def _required(distribution: IDistribution, extras: Any = ()) -> Iterator[Requirement]:
    """Yield what applies here: always, or with one of the extras."""
    for one in _requirements(distribution):
        if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in ("", *extras)):
            yield one


def _compared(subject: str, required: Requirement, versions: dict[str, str]) -> Iterator[Problem]:
    name = canonicalize_name(required.name)
    version = versions.get(name)
    if version is not None and required.specifier.contains(version, prereleases=True):
        return
    wanted = f"{required.name}{required.specifier}"
    # Another release's distributions may have our names.
    is_ours = name.startswith("atdata")
    remedy = "install all distributions of one release" if is_ours else f"pip install '{wanted}'"
    found = "is not installed" if version is None else f"is {version} here"
    yield Problem(subject, f"it requires {wanted}, which {found}", remedy)


def _another_release(ours: dict[str, IDistribution]) -> Iterator[Problem]:
    if META not in ours or any(one.name == CORE for one in _requirements(ours[META])):
        return
    subject = f"{META} {ours[META].version}"
    problem = f"it is another release, which has the modules that {CORE} brings in this one"
    yield Problem(subject, problem, f"uninstall {META} and {CORE}, and install this one again")
