"""OpenAI's chat completions on the wire, and what differs at Azure."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from flowground.core.errors import ProviderRefused
from flowground.core.messages import Message
from flowground.core.values import LONGEST
from flowground.providers.base import Completion, ModelCall
from flowground.providers.openai import AzureSettings
from tests.chat_answers import ANSWER, CALL, DONE, KEY, STREAMED, USAGE, WANTED, all_of, delta, model, openai
from tests.heartbeat import stays_responsive
from tests.wire import Opened, Part, chunked, fault_of, opening, whole


async def test_a_whole_answer_and_what_was_asked() -> None:
    async with model([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == WANTED
        asked = server.asked[0]
        assert asked.path == "/deep/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "it's “hi”\n$HOME"}]
        assert asked.body == {"model": "small", "messages": messages, "temperature": 0.5}


async def test_streamed_answers_in_pieces_over_one_connection_with_whole_ones() -> None:
    async with model([STREAMED], [STREAMED], [ANSWER], [STREAMED]) as (provider, server):
        for _ in range(2):
            assert await all_of(provider) == ["Hi", " you", WANTED]
        assert server.asked[0].body["stream_options"] == {"include_usage": True}
        await provider.complete(CALL)
        await all_of(provider)
        assert server.connections == 1


async def test_events_may_be_cut_anywhere() -> None:
    data = b"".join(b"data: %s\r\n\r\n" % json.dumps(delta(text), ensure_ascii=False).encode() for text in "„ö😀“")
    cut = [b": a comment\n\n", *(data[index : index + 3] for index in range(0, len(data), 3)), DONE]
    async with model([chunked(*cut)]) as (provider, _):
        assert await all_of(provider) == [*"„ö😀“", Completion("„ö😀“", "small-2026")]


async def test_text_in_parts_and_a_refusal_are_text() -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "you"}]
    messages: list[dict[str, Any]] = [{"content": parts}, {"content": None, "refusal": "Hi you"}]
    async with model(*([whole({"choices": [{"message": message}]})] for message in messages)) as (provider, _):
        for _ in messages:
            assert await provider.complete(CALL) == Completion("Hi you", "small")


async def test_who_leaves_a_call_or_closes_a_stream_leaves_the_server() -> None:
    async with model([60.0], [chunked(delta("Hi"), end=False), 60.0], seconds=60) as (provider, server):
        task = asyncio.ensure_future(provider.complete(CALL))
        await asyncio.wait_for(server.came.wait(), 30)
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 30)
        assert task.cancelled()
        server.left.clear()
        async with aclosing(provider.stream(CALL)) as pieces:
            assert await anext(pieces) == "Hi"
        await asyncio.wait_for(server.left.wait(), 30)


async def test_the_longest_prompt_is_written_without_keeping_anybody_waiting() -> None:
    call = ModelCall("m", tuple(Message("user", text * (LONGEST // 2)) for text in ("🐎", '"')), {})
    bodies: list[bytes] = []

    async def write() -> None:
        bodies.append(openai().write(call, {}, is_streamed=True))

    await stays_responsive(write)
    assert [message["content"] for message in json.loads(bodies[0])["messages"]] == [m.content for m in call.messages]
    half = ModelCall("m", (Message("user", "\ud800"),), {})
    assert json.loads(openai().write(half, {}, is_streamed=False))["messages"][0]["content"] == "\ud800"


DEPLOYED = "/openai/deployments/my%20gpt/chat/completions?api-version="
DEPLOYED_CALL = ModelCall("my gpt", (Message("user", "Hello"),), {"max_tokens": 9})


def azure(*answers: list[Part], **settings: Any) -> Opened:
    return opening(AzureSettings, "", answers, {"api_key": KEY, "retries": 0, **settings})


@pytest.mark.parametrize(
    ("version", "path", "option"),
    [
        ("", "/openai/v1/chat/completions", "max_completion_tokens"),
        ("2024-10-21", f"{DEPLOYED}2024-10-21", "max_completion_tokens"),
        ("2024-06-01", f"{DEPLOYED}2024-06-01", "max_tokens"),
    ],
)
async def test_a_deployment_is_asked_with_its_key_in_azures_header(version: str, path: str, option: str) -> None:
    async with azure([ANSWER], api_version=version) as (provider, server):
        assert (await provider.complete(DEPLOYED_CALL)).text == "Hi you"
        (asked,) = server.asked
        assert (asked.path, asked.headers["api-key"], "authorization" in asked.headers) == (path, KEY, False)
        assert (asked.body["model"], asked.body[option]) == ("my gpt", 9)


async def test_a_stream_begins_with_what_the_filter_says() -> None:
    filters = {"choices": [], "model": "", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    counted = {"choices": [], "usage": USAGE}
    async with azure([chunked(filters, delta("Hi"), delta(finish="content_filter"), counted, DONE)]) as (provider, _):
        end = await Completion.read(provider.stream(DEPLOYED_CALL))
        assert (end.text, end.model, end.finish_reason) == ("Hi", "small-2026", "content_filter")


async def test_what_the_content_filter_refuses_is_a_sentence() -> None:
    error = {"message": "The response was filtered …", "code": "content_filter", "status": 400}
    async with azure([whole({"error": error}, status="400 Bad Request")]) as (provider, _):
        refused = await fault_of(provider.complete(DEPLOYED_CALL), ProviderRefused)
        assert refused.message == "The provider 'mine' does not answer this: its content filter refused it."
        assert refused.status == 400
