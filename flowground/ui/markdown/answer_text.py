"""A model's text on its way to a page: once for what is stored, piece by piece while it grows."""

import threading
from collections import OrderedDict

from flowground.messages import mend
from flowground.ui.markdown.blocks import Blocks
from flowground.ui.markdown.inline import NOTABLE

_KEPT = 4_000_000
"""Characters of answers whose Markdown is kept, of all pages together: a rerun draws the same messages again."""


def rewrite_answer(text: str) -> str:
    """Markdown that shows what a model wrote and does no more, see `words.write_answer`. Time grows with its length."""
    text = mend(text).replace("\r\n", "\n").replace("\r", "\n")
    return Blocks().read(text) if NOTABLE.search(text) else text


class KeptAnswers:
    """Texts that were rewritten already, those seen last, up to a number of characters. For all threads."""

    def __init__(self, limit: int = _KEPT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def rewrite(self, text: str) -> str:
        """What `rewrite_answer` gives."""
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        shown = rewrite_answer(text)
        with self._lock:
            if text not in self._kept:
                self._kept[text] = shown
                self._size += len(text) + len(shown)
            while self._size > self._limit:
                self._size -= sum(map(len, self._kept.popitem(last=False)))
        return shown

    @property
    def size(self) -> int:
        """Characters that are kept."""
        return self._size


class GrowingText:
    """A text while it is written. What no further piece can change is rewritten once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._shown: list[str] = []
        self._rest = ""
        self._fresh: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._fresh.append(piece)

    @property
    def whole(self) -> str:
        """As it came."""
        return "".join(self._pieces)

    def rewrite(self) -> str:
        """Markdown of what is there, as `rewrite_answer` gives it."""
        text = self._rest + "".join(self._fresh)
        half = text[-1:] if text[-1:] == "\r" or "\ud800" <= text[-1:] <= "\udbff" else ""
        text = mend(text[: len(text) - len(half)]).replace("\r\n", "\n").replace("\r", "\n")
        self._rest, self._fresh = text, [half] if half else []
        before = "".join(self._shown)
        if not NOTABLE.search(text):
            return before + text
        blocks = Blocks()
        shown = blocks.read(text)
        letters, lines = blocks.settled
        if lines:
            self._shown = [before, "\n".join(blocks.done[:lines]), "\n"]
            self._rest = text[letters:]
        return before + shown
