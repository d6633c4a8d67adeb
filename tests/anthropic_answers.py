"""What Anthropic's Messages API answers, as its public documentation records it, and an adapter that is answered so."""

import json
from collections.abc import Sequence
from typing import Any

from flowground.providers.anthropic import AnthropicSettings
from tests.wire import Opened, Part, chunked, opening, whole

KEY = "sk-ant-secret-0123456789"
ANSWER = whole({
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello!"}],
    "model": "claude-opus-4-6",
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 6},
})  # fmt: skip


def named(*events: dict[str, Any], end: bool = True) -> bytes:
    """A streamed answer whose events have a name beside their data, as the API sends them."""
    said = [f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode() for item in events]
    return chunked(*said, end=end)


def start(**usage: int) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-opus-4-6"}
    counted = {"input_tokens": 25, "output_tokens": 1} | usage
    return {"type": "message_start", "message": message | {"stop_reason": None, "usage": counted}}


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def tool(index: int, key: str, name: str, *pieces: str) -> list[dict[str, Any]]:
    begun = {"type": "tool_use", "id": key, "name": name, "input": {}}
    return block(index, begun, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def stop(reason: str = "end_turn", **usage: int) -> list[dict[str, Any]]:
    counted = {"output_tokens": 15} | usage
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": counted}, {"type": "message_stop"}]


PING = {"type": "ping"}


def claude(*answers: Sequence[Part], **settings: Any) -> Opened:
    return opening(AnthropicSettings, "/v1", answers, {"api_key": KEY, "timeout": 5, "retries": 2, **settings})
