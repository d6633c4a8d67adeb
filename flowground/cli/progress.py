"""How far a download is, on stderr."""

import shutil
import sys
import time

from flowground.cli.terminal import unescaped


class ProgressBar:
    """One line on stderr: redrawn at a terminal, a line every tenth elsewhere."""

    def __init__(self) -> None:
        self._stream = unescaped(sys.stderr)
        self._terminal = self._stream.isatty()
        self._begun: tuple[float, int] | None = None
        self._tenths = -1
        self._drawn = False

    def show(self, received: int, total: int) -> None:
        total = max(total, 1)
        now = time.monotonic()
        self._begun = self._begun or (now, received)
        if not self._terminal:
            if received * 10 // total > self._tenths:
                self._tenths = received * 10 // total
                print(_words(received, total, None), file=self._stream, flush=True)
            return
        words = _words(received, total, _left(received - self._begun[1], total - received, now - self._begun[0]))
        width = max(10, min(40, shutil.get_terminal_size().columns - len(words) - 4))
        filled = width * received // total
        print(f"\r[{'█' * filled}{'·' * (width - filled)}] {words}\x1b[K", end="", file=self._stream, flush=True)
        self._drawn = True

    def end(self) -> None:
        """Leaves the line; may be called again."""
        if self._drawn:
            print(file=self._stream)
        self._drawn = False


def _words(received: int, total: int, left: float | None) -> str:
    said = f"{received / 1e6:.0f} of {total / 1e6:.0f} MB"
    return said if left is None else f"{said}, {left:.0f} s left"


def _left(fetched: int, missing: int, seconds: float) -> float | None:
    """Seconds to go at the mean speed so far; None before it can be told."""
    return missing * seconds / fetched if fetched > 0 and seconds > 1 else None
