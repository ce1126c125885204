"""What the documents show is true: every block of every page is run.

A page's blocks run in order, in one process, one namespace and an empty folder of its own, with
warnings as errors. What happens to a block is told by its fence alone:

- ``python`` runs.
- ``text`` is what the python block right above it prints; ``...`` stands for anything.
- ``console`` holds commands behind ``$`` and what they print. ``atdata`` and ``pytest`` are run,
  and after ``pip install -e FOLDER`` the project in that folder is importable and its plugins are
  found.
- any language with ``title="path"`` is written to that file, and not run.
- ``bash`` is only shown, and must be nothing but commands that install.

There are no other fences.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.documents.blocks import blocks_of

import atdata
from atdata import errors, hookspecs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# Pages that need a server, which the tests beside that server's run.
SERVED = {"federation.md", "postgres.md"}
LANGUAGES = {"python", "text", "console", "bash"}


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    home = folder / "atdata-home"
    work = folder / "work"
    work.mkdir()
    environment = {
        **os.environ,
        "ATDATA_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONWARNINGS": "error",
        # Tables are as wide as the pages.
        "COLUMNS": "100",
        "TERM": "dumb",
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.documents.run_page", str(page)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in SERVED],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    done = run(page, tmp_path)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_a_page_is_of_a_kind_that_is_checked(page: Path) -> None:
    for block in blocks_of(page):
        assert block.title or block.language in LANGUAGES, str(block)
        if block.language == "bash":
            for line in block.text.splitlines():
                assert re.match(r"(python -m )?pip install ", line), str(block)


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 1\nraise KeyError\n```\n", 7),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", 6),
        ("```text\n2\n```\n", 2),
        ("```console\n$ rm -r .\n```\n", 2),
        ("```console\n$ atdata --version\natdata 0.0\n```\n", 2),
        ("```python\nif\n```\n", 2),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", 3),
    ],
)
def test_a_block_that_fails_is_named_by_page_and_line(page: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    assert run(path, tmp_path).stderr.startswith(f"page.md, line {line}: ")


def test_the_plugin_page_shows_every_hook_with_its_signature_and_contract() -> None:
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    specified = {
        name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "atdata_spec")
    }
    assert set(re.findall(r"^### `(\w+)", page, re.MULTILINE)) == set(specified)
    for name, hook in specified.items():
        parameters = ", ".join(inspect.signature(hook).parameters)
        assert f"### `{name}({parameters})`\n" in page
        assert str(inspect.getdoc(hook)).replace("``", "`") in page


def test_the_error_page_names_every_error_and_what_else_it_is() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    bases = {
        name: {base.__name__ for base in kind.__bases__} - {"AtdataError"}
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.AtdataError)
    }
    del bases["AtdataError"]
    assert {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows} == bases


def test_the_api_reference_holds_every_public_name() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"^::: (?:\w+\.)*(\w+)$", text, re.MULTILINE))
    # That one is another name of Index.
    assert set(atdata.__all__) - {"LocalIndex"} <= documented


def test_what_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_readme_offers_the_two_commands_that_need_nothing_but_python() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    for session in ("demo", "tests"):
        assert f"python -m pip install nox && python -m nox -s {session}" in lines
