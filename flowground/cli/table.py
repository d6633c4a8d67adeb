"""Rows in columns that line up."""

from collections.abc import Iterable, Sequence
from datetime import datetime


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Heads and rows on stdout; an empty cell is written as "-"."""
    lines = [tuple(heads), *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def day(moment: datetime | None) -> str:
    """A moment as its local date and minute; empty for None."""
    return moment.astimezone().strftime("%Y-%m-%d_%H:%M") if moment else ""
