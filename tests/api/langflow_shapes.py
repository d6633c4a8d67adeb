"""Compares answers with Langflow's recordings by shape: keys in order, types, and the words that are the contract."""

import json
import re
from collections.abc import Iterable
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


Frame = tuple[str, str, str]
_FRAME = re.compile(r"id: ([^\n]+)\nevent: (\w+)\ndata: ([^\n]*)\n\n")


def frames(raw: str) -> list[Frame]:
    """Id, event and data of each server-sent event that came whole."""
    return _FRAME.findall(raw)


def read_told(raw: str) -> Any:
    """What any answer of a run tells, texts joined as by `join`."""
    if raw.startswith('{"event"'):
        return join([("", one["event"], json.dumps(one["data"])) for one in events(raw)])
    return join(frames(raw)) or raw


def join(told: Iterable[Frame]) -> list[Any]:
    """Neighbouring texts of one answer as one, with the id of the last: how they are cut is chance."""
    joined: list[Any] = []
    for frame_id, event, data in told:
        if event != "token":
            joined.append((frame_id, event, data))
            continue
        said = json.loads(data)
        text, answer = said.get("chunk", said.get("text")), said["id"]
        if joined and joined[-1][1:3] == ("token", answer):
            text = joined.pop()[3] + text
        joined.append((frame_id, "token", answer, text))
    return joined
