"""What the Gemini API answers, as its public documentation records it, and an adapter that is answered so."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowground.providers.base import Provider, Surroundings
from flowground.providers.google import GoogleSettings
from tests.wire import Part, Wire, chunked, whole, wire

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


@asynccontextmanager
async def gemini(*answers: Sequence[Part], **settings: Any) -> AsyncIterator[tuple[Provider, Wire]]:
    async with wire(*answers) as server:
        given = {"base_url": f"{server.url}/v1beta", "api_key": KEY, "timeout": 5, "retries": 2, **settings}
        provider = GoogleSettings.model_validate(given).open("mine", Surroundings(Path(), 500_000))
        try:
            yield provider, server
        finally:
            await provider.close()
