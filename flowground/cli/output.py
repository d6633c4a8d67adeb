"""How commands print: tables, answers as they come, the progress of a download.

Control characters are escaped if stdout or stderr is a terminal; pipes and files get them as they are.
"""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click

from flowground.core.citations import NumberedPassage, write_source

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""C0, DEL and C1, as Python writes them; a line's end and a tab stay."""


def echo(text: str, *, end: str = "\n") -> None:
    """Prints what was asked for, on stdout."""
    _write(f"{text}{end}", sys.stdout)


def note(text: str) -> None:
    """Prints a line on stderr."""
    _write(f"{text}\n", sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    stream.write(text.translate(_CONTROLS) if stream.isatty() else text)
    stream.flush()


class NoteHandler(logging.Handler):
    """Prints log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(self.format(record))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints heads and aligned rows on stdout; an empty cell is "-"."""
    lines = [tuple(heads), *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_path(path: Path) -> str:
    """The path from the working directory if it is below that, else the absolute path."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


def write_minute(moment: datetime | None) -> str:
    """A moment as its local date and minute; empty for None."""
    return moment.astimezone().strftime("%Y-%m-%d_%H:%M") if moment else ""


class AnswerPrinter:
    """Prints answers: the first to begin as it comes, the others at the end."""

    def __init__(self) -> None:
        self._first: str | None = None

    def show(self, answer: str, piece: str) -> None:
        """Prints a piece of the answer with this id, if it is the first answer."""
        self._first = self._first or answer
        if answer == self._first:
            echo(piece, end="")

    def end(self, answers: Iterable[tuple[str | None, str]], cited: Iterable[NumberedPassage]) -> None:
        """Prints the answers, which are ids and whole texts, without what was printed already; below, a line for each
        cited passage."""
        if self._first:
            echo("")
        for answer, text in answers:
            if self._first is None or answer != self._first:
                echo(text)
        for passage in {one.number: one for one in cited}.values():
            echo(write_source(passage))


class DownloadBar:
    """The progress of a download on stderr: a line that is redrawn at a terminal, one line elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None  # click's own, whose class has no public name

    def show(self, received: int, total: int) -> None:
        """Shows how many bytes have been received."""
        if self._bar is None:
            self._bar = click.progressbar(length=max(total, 1), label=f"Fetching {total / 1e6:.0f} MB", file=sys.stderr)
            self._bar.render_progress()
        self._bar.update(received - self._bar.pos)

    def end(self) -> None:
        """Ends the line; may be called again."""
        if self._bar is not None:
            self._bar.render_finish()
        self._bar = None
