"""What a socket holds of a page's overrides between two messages; with each message the page sends all of them."""

import json
from typing import Any

from flowground.overrides import FieldValues

_MOST_CHARS = 10_000
"""Of JSON. A person has up to two hundred sockets, and one override of a text may have a million characters."""


def hold_short(tweaks: FieldValues) -> FieldValues:
    """Those that may say which model is asked, or whether messages are kept: none of them is long.

    The shortest ones, where all of them are more than a socket holds.
    """
    values = [(len(_spell(name, key, value)), name, key) for name, own in tweaks.items() for key, value in own.items()]
    held: dict[str, dict[str, Any]] = {}
    left = _MOST_CHARS
    for size, name, key in sorted(values):
        left -= size
        if left < 0:
            break
        held.setdefault(name, {})[key] = tweaks[name][key]
    return held


def _spell(name: str, key: str, value: Any) -> str:
    return json.dumps([name, key, value])
