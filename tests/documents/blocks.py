"""The fenced code blocks of a page: where they stand and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"( *)(`{3,})(\S*) *(.*)")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the title it carries, and the line its first line is on."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}, line {self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in order; an indented or unfinished one is a ValueError."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    for number, line in lines:
        opening = _FENCE.fullmatch(line)
        if opening is None:
            continue
        indent, fence, language, rest = opening.groups()
        inside: list[str] = []
        for _, content in lines:
            if content.strip() == fence:
                break
            inside.append(content)
        else:
            raise ValueError(f"{page.name}, line {number}: the block has no end")
        if indent:
            raise ValueError(f"{page.name}, line {number}: an indented block would not be run")
        title = _TITLE.search(rest)
        text = "".join(f"{line}\n" for line in inside)
        yield Block(page, number + 1, language, title[1] if title else None, text)
