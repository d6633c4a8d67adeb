"""What clients say cannot forge, flood or colour the log: one message is one line of bounded length.

Streamlit and uvicorn log words of strangers as they came. All loggers of the process make their records here, so no
handler needs to know.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

LONGEST = 2_000
"""Characters of one message."""
_MOST_LINES = 100
"""Lines of a traceback, counted from its end."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters (line ends and escape sequences of terminals among them), and what turns the direction of text."""
_SESSION = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
"""Streamlit's id of a page, by which its owner comes back to it; eight digits are enough to tell pages apart."""


def escape_log_lines() -> Callable[[], None]:
    """From now on, for every logger; returns what ends it."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(_OneLine)
    return lambda: logging.setLogRecordFactory(before)


class _OneLine(logging.LogRecord):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if self.name == "uvicorn.access" and isinstance(self.args, tuple):
            # uvicorn 0.54 formats these itself, past getMessage.
            self.args = tuple(_escape(part) if isinstance(part, str) else part for part in self.args)

    def getMessage(self) -> str:  # noqa: N802 - logging's own name
        said = super().getMessage().rstrip("\r\n")
        if self.name.startswith("streamlit"):
            said = _SESSION.sub(r"\1…", said)
        return _escape(said)

    @property
    def exc_text(self) -> str | None:
        """A traceback keeps its lines, and none of them begins where a line of the log begins."""
        return self.__dict__.get("exc_text")

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        if text:
            text = "\n".join(f"  {_escape(line)}" for line in text.split("\n")[-_MOST_LINES:])
        self.__dict__["exc_text"] = text


def _escape(said: str) -> str:
    escaped = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), said[:LONGEST])
    return escaped[:LONGEST] + (f"… ({len(said):,} characters)" if len(said) > LONGEST else "")
