"""How texts, names and figures are written on a page."""

import re
from collections.abc import Iterable

from flowground.core.messages import Usage, join_surrogates
from flowground.core.words import count as count
from flowground.core.words import cut as cut
from flowground.core.words import fold as fold
from flowground.core.words import has_words as has_words

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$:<>&-])")
_BARE_ADDRESS = re.compile(r"(https?:|www)(?=//|\.)", re.IGNORECASE)
_CODE = re.compile(r"`([^`\n]+)`")


def escape(text: str) -> str:
    """The text in one line, with its Markdown escaped and no address in it becoming a link."""
    return _escape_line(" ".join(join_surrogates(text).split()))


def _escape_line(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _BARE_ADDRESS.sub("\\1\u2060", text))


def write_sentence(text: str) -> str:
    """An error's sentence as Markdown: text in backticks stays code, all else is escaped."""
    parts = _CODE.split(" ".join(join_surrogates(text).split()))
    return "".join(f"`{part}`" if number % 2 else _escape_line(part) for number, part in enumerate(parts))


def write_seconds(value: float | None) -> str:
    """0.42 → "420 ms", 1.23 → "1.2 s", 12.3 → "12 s", 75 → "1 min 15 s"; nothing for None."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s" if value >= 0.995 else f"{value * 1000:.0f} ms" if value >= 0.0005 else "under 1 ms"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def write_tokens(usage: Usage | None) -> str:
    """ "1,204 tokens", or nothing."""
    return "" if usage is None else count(usage.total_tokens, "token")


def join(parts: Iterable[str]) -> str:
    """The parts that are not empty, with a middle dot between them."""
    return " · ".join(part for part in parts if part)
