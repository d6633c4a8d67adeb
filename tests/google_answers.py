"""What the Gemini API answers, as its public documentation records it, and an adapter that is answered so."""

import json
from collections.abc import Sequence
from typing import Any

from flowground.providers.google import GoogleSettings
from tests.wire import Opened, Part, chunked, opening, whole

KEY = "AIza-secret-0123456789"


def part(*parts: dict[str, Any], finish: str | None = None, **counted: int) -> dict[str, Any]:
    """One answer of a stream, or a whole one."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 11, "totalTokenCount": 11} | counted
    return {
        "candidates": [candidate | ({"finishReason": finish} if finish else {})],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
    }


ANSWER = whole(part({"text": "Hello!"}, finish="STOP", candidatesTokenCount=2))


def lines(*answers: dict[str, Any], end: bool = True) -> bytes:
    """A streamed answer; the API ends lines as HTTP does."""
    return chunked(*(b"data: " + json.dumps(item).encode() + b"\r\n\r\n" for item in answers), end=end)


def gemini(*answers: Sequence[Part], **settings: Any) -> Opened:
    return opening(GoogleSettings, "/v1beta", answers, {"api_key": KEY, "timeout": 5, "retries": 2, **settings})
