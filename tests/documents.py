"""The repository's Markdown, as tests read it: its code blocks and its links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is the line of its fence, from 1."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def pages() -> list[Path]:
    return [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "guide").glob("*.md")),
    ]


def blocks(language: str) -> list[Block]:
    """All blocks of a language, in order."""
    return [block for page in pages() for block in _blocks(page) if block.language == language]


def links(page: Path) -> list[str]:
    """Relative links, without their anchors."""
    found = [target.partition("#")[0] for target in _LINK.findall(page.read_text("utf-8"))]
    return [target for target in found if target and "://" not in target and not target.startswith("mailto:")]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(page.relative_to(ROOT)), line, found[1], found[2])
