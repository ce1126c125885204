"""The sessions that show, test, check and measure atdata."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
# An interpreter that is not there is skipped with a message, on CI machines too.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

PROJECT = nox.project.load_toml("pyproject.toml")
BACKENDS = ("sqlite", "redis", "postgres", "s3", "atmosphere")
FOLDERS = ("atdata-core", *(f"atdata-{name}" for name in BACKENDS), ".")
SOURCES = ("atdata-core/src", *(f"atdata-{name}/src" for name in BACKENDS))
SUPPORTED = ["3.11", "3.12", "3.13"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def install(session: nox.Session, *groups: str) -> None:
    """Install tool groups and, in the same command, the checkout's own distributions."""
    session.install(
        *("-c", "constraints.txt"),
        *("-e", "./atdata-core[cli,demo,http,pandas,parquet]"),
        *(part for name in BACKENDS for part in ("-e", f"./atdata-{name}")),
        *("-e", "."),
        *nox.project.dependency_groups(PROJECT, *groups),
    )


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job as a user would, on the distributions as they are built."""
    session.install("./atdata-core[demo]", "./atdata-sqlite", ".")
    session.run("atdata", "demo", *session.posargs)


@nox.session(tags=["checks"])
def build(session: nox.Session) -> None:
    """Make wheels and sdists of all distributions in dist, check, install and use them."""
    session.install("-c", "constraints.txt", *nox.project.dependency_groups(PROJECT, "build"))
    shutil.rmtree("dist", ignore_errors=True)
    for folder in FOLDERS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", folder)
    archives = sorted(str(path) for path in Path("dist").iterdir())
    session.run("twine", "check", "--strict", *archives)
    # The settings of all other tests are for tools that these do without.
    session.run("pytest", "--noconftest", "tests/built", *session.posargs)


# The sessions of tests that this call of nox has begun.
BEGUN: list[str] = []


# Somebody with a newer Python only should not see every session skipped.
@nox.session(python=[*SUPPORTED, *({RUNNING} - {*SUPPORTED})])
def tests(session: nox.Session) -> None:
    """Run the tests on every supported Python found, those that need servers on the first one.

    Where that is the oldest one supported, it also demands coverage.
    """
    install(session, "test")
    BEGUN.append(session.name)
    chosen: list[str] = []
    if not session.posargs and len(BEGUN) > 1:
        chosen = ["-m", "not slow and not server"]
    elif not session.posargs and session.python == SUPPORTED[0]:
        chosen = ["--cov"]
    session.run("pytest", "--numprocesses=auto", "--dist=worksteal", *chosen, *session.posargs)


# What reads, writes, keeps an index in a file and is typed; some of it on every system.
STORING = ("tests/portable", "tests/core/stores/test_disk.py", "tests/core/stores/test_disk_kit.py")
READING = ("tests/core/dataset/test_iteration.py", "tests/core/shards/test_large.py")
USING = (
    "tests/core/stores/test_disk_links.py",
    "tests/core/index/test_write.py",
    "tests/core/index/test_default.py",
    "tests/core/cli/test_commands.py",
    "tests/backends/test_sqlite.py",
)
SYSTEMS = {
    "macos": (*STORING, *READING),
    "windows": (*STORING, *READING, *USING),
    "bare": STORING,
}
# Names and pipes that Windows does not have, links that only open folders are safe from, and which
# way a file is read that has another where there is no preadv.
LEFT_OUT = (
    "odd_names",
    "never_waited_for",
    "come_and_go",
    "by_their_outlines",
    "while_it_is_read_is_truncated",
)


@nox.session(tags=["checks"])
def portable(session: nox.Session) -> None:
    """Run tests of the core without the calls that macOS or Windows lack; see tests/portable."""
    install(session, "test")
    site = str(Path("tests/portable/taken").resolve())
    chosen = ("-m", "not slow and not server", "-k", f"not ({' or '.join(LEFT_OUT)})")
    for system, tests in SYSTEMS.items():
        env = {"ATDATA_TEST_SYSTEM": system, "PYTHONPATH": site}
        session.run("pytest", "--numprocesses=auto", *chosen, *tests, *session.posargs, env=env)


# What is no part of reading, writing or finding data: tests run on the versions of constraints.txt.
TOOLS = ("pytest", "hypothesis", "torch")
# Core, with the cases that attack it, and each backend that needs no server.
LOWEST = (
    *(f"tests/core/{folder}" for folder in ("samples", "shards", "dataset", "stores", "index")),
    *("tests/core/test_lens.py", "tests/core/test_cids.py", "tests/core/cli/test_commands.py"),
    *("tests/backends/test_sqlite.py", "tests/backends/test_s3_store.py"),
)


def lowest_versions() -> list[str]:
    """Return the lowest version of all that a distribution or one of its extras asks for."""
    found = set()
    for folder in FOLDERS:
        project = nox.project.load_toml(f"{folder}/pyproject.toml")["project"]
        extras = project.get("optional-dependencies", {}).values()
        for text in [*project["dependencies"], *(text for extra in extras for text in extra)]:
            asked = Requirement(text)
            lowest = [bound.version for bound in asked.specifier if bound.operator == ">="]
            if lowest and asked.name not in TOOLS:
                extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
                found.add(f"{asked.name}{extras}=={lowest[0]}")
    return sorted(found)


@nox.session(python=SUPPORTED[0], tags=["checks"])
def lowest(session: nox.Session) -> None:
    """Run tests of the core, hostile input included, on the lowest versions that are allowed."""
    install(session, "test")
    # In a second step, as tools of the tests ask for later ones, which they need not have.
    session.install(*lowest_versions())
    chosen = session.posargs or ("-m", "not slow and not server", *LOWEST)
    session.run("pytest", "--numprocesses=auto", "--dist=worksteal", *chosen)


@nox.session(python="3.11")
def torch(session: nox.Session) -> None:
    """Run the tests that need torch."""
    install(session, "test", "torch")
    session.run("pytest", "-m", "torch", *session.posargs)


@nox.session(tags=["checks"])
def lint(session: nox.Session) -> None:
    """Check style, format and the layers of imports."""
    session.install("-c", "constraints.txt", *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": ":".join(SOURCES)})


@nox.session(tags=["checks"])
def types(session: nox.Session) -> None:
    """Check types: mypy on everything, pyright on what users would write."""
    install(session, "test", "types")
    session.run("mypy")
    session.run("pyright")
    # The one test that needs mypy: what it makes of generated modules.
    session.run("pytest", "tests/core/index/test_stubs.py", "-k", "type_check")


@nox.session(tags=["checks"])
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link or reference is an error."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with the peers that can be installed, and print the numbers."""
    # The servers of the index and of S3 are those of the tests.
    install(session, "test")
    peers = [
        nox.project.dependency_groups(PROJECT, "bench"),
        ["datasets"],
        ["pylance"],
        # Both ask for torchvision, which they do without here, as it would bring CUDA.
        ["--no-deps", "litdata"],
        ["--no-deps", "mosaicml-streaming"],
    ]
    for peer in peers:
        # The table names those that could not be installed.
        session.install("-c", "constraints.txt", *peer, success_codes=[0, 1])
    session.run("python", "-m", "benchmarks", *session.posargs)
