"""Text for a terminal: what a model, a member or an author wrote may not steer it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""C0, DEL and C1, as Python writes them; a line's end and a tab stay."""


class _Shown(io.TextIOBase):
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
    out, err = (_Shown(stream) if stream.isatty() else stream for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


def unescaped(stream: TextIO) -> TextIO:
    """The terminal itself, for what draws on it."""
    return stream.beneath if isinstance(stream, _Shown) else stream
