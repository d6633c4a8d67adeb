"""What an OpenAI-compatible server answers, and an adapter that calls one which answers so."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from flowground.core.messages import Message, Usage
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece
from flowground.providers.openai import OpenAI, OpenAISettings
from tests.wire import Part, Wire, chunked, hear, whole, wire

KEY = "sk-secret-0123456789"
CALL = ModelCall("small", (Message("system", "Be kind."), Message("user", "it's “hi”\n$HOME")), {"temperature": 0.5})
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
ANSWER = whole(
    {
        "model": "small-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi you"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)
DONE = b"data: [DONE]\n\n"


def delta(text: str | None = None, *, finish: str | None = None) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {"model": "small-2026", "choices": [{"index": 0, "delta": content, "finish_reason": finish}]}


STREAMED = chunked(delta(""), delta("Hi"), delta(" you"), delta(finish="stop"), {"choices": [], "usage": USAGE}, DONE)
USUAL = Capabilities(images=True, tools=True, response_schema=True)
WANTED = Completion("Hi you", "small-2026", Usage(7, 2), "stop")


def openai(
    url: str = "http://127.0.0.1/v1",
    *,
    name: str = "mine",
    key: str | None = None,
    takes: Capabilities = USUAL,
    **settings: Any,
) -> OpenAI:
    return OpenAI(name, url, OpenAISettings.model_validate(settings), key=key, usual=takes)


@asynccontextmanager
async def model(
    *answers: Sequence[Part], seconds: float = 5, retries: int = 2, takes: Capabilities = USUAL
) -> AsyncIterator[tuple[OpenAI, Wire]]:
    async with wire(*answers) as server:
        provider = openai(f"{server.url}/deep/v1", key=KEY, takes=takes, timeout=seconds, retries=retries)
        try:
            yield provider, server
        finally:
            await provider.close()


async def all_of(provider: OpenAI) -> list[Piece]:
    return await hear(provider, CALL)
