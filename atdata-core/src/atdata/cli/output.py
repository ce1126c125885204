"""What commands print: JSON, tables on a terminal, lines with tabs elsewhere.

All text may come from data, so nothing in it is markup, and no control character gets through.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

# Columns of no more characters are not broken to make room for others, if all fit so.
UNBROKEN = 24
# Columns that are broken keep as many.
NARROWEST = 8
GAP = 2

Cell = str | int | None
Row = Mapping[str, Cell]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def escape(text: str) -> str:
    """Return text on one line, without anything that a terminal would obey or hide."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(sentence: str) -> None:
    """Print one line on standard error."""
    print(f"atdata: {escape(sentence)}", file=sys.stderr)


def print_line(text: str = "") -> None:
    """Print one line."""
    print(escape(text))


def print_json(value: Any) -> None:
    """Print one JSON document, in ASCII."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(rows: Sequence[Row], title: str = "") -> None:
    """Print rows of equal keys; in a pipe without the title, and with the keys as first line."""
    if not rows:
        return
    if sys.stdout.isatty():
        _print_rich(rows, title)
        return
    print("\t".join(map(escape, rows[0])))
    for row in rows:
        print("\t".join(_plain(cell) for cell in row.values()))


def print_facts(facts: Row) -> None:
    """Print pairs of name and value, one a line."""
    width = max(map(len, facts)) + 2 if sys.stdout.isatty() else 0
    for name, cell in facts.items():
        print(f"{escape(name):{width}}" if width else f"{escape(name)}\t", end="")
        print(_plain(cell))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress on standard error while it is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        yield progress


def _print_rich(rows: Sequence[Row], title: str) -> None:
    console = Console()
    widths = {
        name: max(cell_len(_plain(cell)) for cell in (name, *(row[name] for row in rows)))
        for name in rows[0]
    }
    numbers = {name for name in widths if not any(_is_text(row[name]) for row in rows)}
    unbroken = {name for name, width in widths.items() if width <= UNBROKEN}
    if _least_width(widths, unbroken) > console.width:
        # What is left of a number that is broken is another one.
        unbroken = numbers
    # rich would cut what does not fit; the terminal itself breaks a line that is too long.
    console.width = max(console.width, _least_width(widths, unbroken))
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        title_justify="left",
    )
    table.title = Text(title) if title else None
    for name in widths:
        table.add_column(
            Text(escape(name)),
            justify="right" if name in numbers else "left",
            no_wrap=name in unbroken,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row.values()))
    console.print(table)


def _least_width(widths: Mapping[str, int], unbroken: Collection[str]) -> int:
    """Return the width in which a table loses nothing."""
    columns = (
        width if name in unbroken else min(width, NARROWEST) for name, width in widths.items()
    )
    return sum(columns) + GAP * (len(widths) - 1)


def _is_text(cell: Cell) -> bool:
    return cell is not None and type(cell) is not int


def _plain(cell: Cell) -> str:
    return "-" if cell is None else escape(str(cell))
