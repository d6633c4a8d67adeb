"""Compares answers with Langflow's recordings by shape: keys in order, types, and the words that are the contract."""

import json
from pathlib import Path
from typing import Any

_RECORDINGS = Path(__file__).parent / "recordings"
_WORDS = {"sender", "sender_name", "type", "category", "state", "text_key", "default_value", "event", "context_id"}


def recording(name: str) -> dict[str, Any]:
    """The recorded response: status, headers, and `body` or (streams) `body_raw`."""
    response: dict[str, Any] = json.loads((_RECORDINGS / f"{name}.json").read_text())["response"]
    return response


def shape(value: Any, key: str = "") -> Any:
    """The value with its own texts and numbers replaced by their type; contract words stay."""
    match value:
        case dict():
            return [(name, shape(item, name)) for name, item in value.items()]
        case list():
            return [shape(item) for item in value]
        case str() if key not in _WORDS:
            return "text"
        case bool() | None:
            return value
        case int() | float():
            return "number"
        case _:
            return value


def events(raw: str) -> list[dict[str, Any]]:
    """The events of a stream in Langflow's framing."""
    return [json.loads(line) for line in raw.split("\n\n") if line.strip()]
