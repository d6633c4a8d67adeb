"""JSON that a model or a person wrote: read, or told where it is none."""

from typing import Any

import orjson

from flowground.errors import RunError
from flowground.messages import mend
from flowground.words import show

_FENCE = "```"
_EMPTY = "The text is no JSON: it is empty."
MOST_PARTS = 200_000
"""Lists and objects in one text: Python makes each of them, and nothing else runs meanwhile."""


def read_json_text(text: str) -> Any:
    """The value that a text says in JSON. Raises RunError, with line and column of the text, where it says none."""
    text = mend(text)
    begin, end = _find_json(text)
    said = text[begin:end]
    if said.count("[") + said.count("{") > MOST_PARTS:
        raise RunError(f"The text holds more than {MOST_PARTS:,} lists and objects.")
    try:
        return orjson.loads(said)
    except orjson.JSONDecodeError as error:
        at = begin + error.pos
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        found = f"{show(text[at : at + 40])} stands there" if text[at:end].strip() else "it ends there"
        raise RunError(
            f"The text is no JSON: line {line}, column {column}: {error.msg}; {found}." if said.strip() else _EMPTY
        ) from None


def _find_json(text: str) -> tuple[int, int]:
    """Where the JSON of a text begins and ends: all of it, or what stands between the first two fences."""
    fence = text.find(_FENCE)
    if fence < 0 or text[:fence].lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"'):
        return len(text) - len(text.lstrip("\ufeff")), len(text)
    begin = fence + len(_FENCE)
    if text[begin : begin + 4].lower() == "json":
        begin += 4
    end = text.find(f"\n{_FENCE}", begin)  # no text in JSON holds a line break, so none holds this
    end = text.find(_FENCE, begin) if end < 0 else end
    return begin, len(text) if end < 0 else end
