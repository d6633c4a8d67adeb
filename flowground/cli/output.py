"""What commands print: rows that line up, answers as they come, how far a download is; nothing steers a terminal."""

import io
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import TextIO

from flowground.citations import NumberedPassage, write_source

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""C0, DEL and C1, as Python writes them; a line's end and a tab stay."""


class _EscapingStream(io.TextIOBase):
    """Writes control characters as escapes to the stream beneath."""

    def __init__(self, beneath: TextIO) -> None:
        self.beneath = beneath

    def write(self, text: str, /) -> int:
        self.beneath.write(text.translate(_CONTROLS))
        return len(text)

    def flush(self) -> None:
        self.beneath.flush()

    def fileno(self) -> int:
        return self.beneath.fileno()

    def isatty(self) -> bool:
        return True


@contextmanager
def show_controls() -> Iterator[None]:
    """While it lasts, stdout and stderr show control characters where they are terminals; pipes and files get all."""
    out, err = (_EscapingStream(stream) if stream.isatty() else stream for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


def tell(sentence: str) -> None:
    """On stderr, beside what was asked for."""
    print(sentence, file=sys.stderr)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Heads and rows on stdout; an empty cell is written as "-"."""
    lines = [tuple(heads), *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_path(path: Path) -> str:
    """From the working directory where it is below it, as terminals and editors open it."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


def write_minute(moment: datetime | None) -> str:
    """A moment as its local date and minute; empty for None."""
    return moment.astimezone().strftime("%Y-%m-%d_%H:%M") if moment else ""


class AnswerPrinter:
    """Of several answers, the first to begin is printed as it comes, the others when all is said."""

    def __init__(self) -> None:
        self._first: str | None = None

    def show(self, answer: str, piece: str) -> None:
        """A piece of an answer, which is known by its id."""
        self._first = self._first or answer
        if answer == self._first:
            print(piece, end="", flush=True)

    def end(self, answers: Iterable[tuple[str | None, str]], cited: Iterable[NumberedPassage]) -> None:
        """Ids and whole texts, a line each; what was printed is not repeated. Below, a line for each passage that they
        cite."""
        if self._first:
            print()
        for answer, text in answers:
            if self._first is None or answer != self._first:
                print(text, flush=True)
        for passage in {one.number: one for one in cited}.values():
            print(write_source(passage), flush=True)


class ProgressBar:
    """One line on stderr: redrawn at a terminal, a line every tenth elsewhere."""

    def __init__(self) -> None:
        # Beneath what shows control characters: the bar's own move the cursor.
        self._stream = sys.stderr.beneath if isinstance(sys.stderr, _EscapingStream) else sys.stderr
        self._is_terminal = self._stream.isatty()
        self._begun: tuple[float, int] | None = None
        self._tenths = -1
        self._is_drawn = False

    def show(self, received: int, total: int) -> None:
        total = max(total, 1)
        now = time.monotonic()
        self._begun = self._begun or (now, received)
        if not self._is_terminal:
            if received * 10 // total > self._tenths:
                self._tenths = received * 10 // total
                print(_say_progress(received, total, None), file=self._stream, flush=True)
            return
        left = _guess_left(received - self._begun[1], total - received, now - self._begun[0])
        words = _say_progress(received, total, left)
        width = max(10, min(40, shutil.get_terminal_size().columns - len(words) - 4))
        filled = width * received // total
        print(f"\r[{'█' * filled}{'·' * (width - filled)}] {words}\x1b[K", end="", file=self._stream, flush=True)
        self._is_drawn = True

    def end(self) -> None:
        """Leaves the line; may be called again."""
        if self._is_drawn:
            print(file=self._stream)
        self._is_drawn = False


def _say_progress(received: int, total: int, left: float | None) -> str:
    said = f"{received / 1e6:.0f} of {total / 1e6:.0f} MB"
    return said if left is None else f"{said}, {left:.0f} s left"


def _guess_left(fetched: int, missing: int, seconds: float) -> float | None:
    """Seconds to go at the mean speed so far; None before it can be told."""
    return missing * seconds / fetched if fetched > 0 and seconds > 1 else None
