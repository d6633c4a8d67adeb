"""How texts, names and figures are written on a page."""

import math
import re
from collections.abc import Iterable

from flowground.messages import Usage, mend
from flowground.ui.markdown.answer_text import KeptAnswers
from flowground.words import count as count
from flowground.words import cut as cut

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$:<>&-])")
_NAME = re.compile(r"\\`((?:\w|\\_|\.|\\-)+)\\`")
_kept = KeptAnswers()


def escape(text: str) -> str:
    """The text with all Markdown taken as it stands."""
    return _MARKDOWN.sub(r"\\\1", " ".join(mend(text).split()))


def write_sentence(text: str) -> str:
    """What an error says: names in backticks are code, all else is plain."""
    return _NAME.sub(lambda found: f"`{found[1]}`".replace("\\", ""), escape(text))


def write_answer(text: str) -> str:
    """What a model wrote, as Markdown that shows it and does no more.

    An image would make the browser ask another host, and tell it whatever the model wrote into the address: it becomes
    a link. A link of another scheme than http, https and mailto becomes text. Prices are no formulas, and Streamlit's
    own directives (`:red[…]`, `:smile:`) stay letters, as HTML does.
    """
    return _kept.rewrite(text)


def write_seconds(value: float | None) -> str:
    """0.42 → "420 ms", 1.23 → "1.2 s", 12.3 → "12 s", 75 → "1 min 15 s"; nothing for None."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s" if value >= 0.995 else f"{value * 1000:.0f} ms" if value >= 0.0005 else "under 1 ms"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def round_seconds(value: float) -> str:
    """For what is guessed. 0.2 → "1 s", 6.2 → "6 s", 75 → "2 min", 4000 → "67 min"."""
    return f"{max(1, round(value))} s" if value < 59.5 else f"{math.ceil(value / 60)} min"


def write_tokens(usage: Usage | None) -> str:
    """ "1,204 tokens", or nothing."""
    return "" if usage is None else count(usage.total_tokens, "token")


def write_size(size: int) -> str:
    """Bytes in the unit a person would take, powers of 1000."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{max(1, size // 1000)} kB"


def join(parts: Iterable[str]) -> str:
    """Parts that are not empty, with a dot between them."""
    return " · ".join(part for part in parts if part)
